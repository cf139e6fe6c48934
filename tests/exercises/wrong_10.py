"""Plausible wrong answers to the exercises of chapter 10: name, body, and words that the check's line must hold."""

NEIGHBOURS = """after = {after}
return torch.cat([{first}, {second}], dim={dim})"""
AFTER = "torch.cat([clips[:, 1:], clips[:, -1:]], dim=1)"


def _neighbours(after: str = AFTER, first: str = "clips", second: str = "after", dim: int = 2) -> str:
    return NEIGHBOURS.format(after=after, first=first, second=second, dim=dim)


NOISE = """level = {level}
share = {share}
noise = {noise}
return {seen}, {told}"""
DRAWN = "torch.randn(clips.shape, generator=generator)"


def _noise(
    level: str = "max_level * torch.rand(len(clips), generator=generator)",
    share: str = "level[:, None, None, None, None]",
    noise: str = DRAWN,
    seen: str = "(1 - share) * (2 * clips - 1) + share * noise",
    told: str = "level[:, None]",
) -> str:
    return NOISE.format(level=level, share=share, noise=noise, seen=seen, told=told)


DOUBLE = """for _ in range({rounds}):
    between = draw({shown})
    clips = {clips}
return {result}"""
FOLDED = "torch.stack([clips, between], dim=2).flatten(1, 2)"


def _double(rounds: int = 2, shown: str = "neighbours(clips)", clips: str = FOLDED, result: str = "clips") -> str:
    return DOUBLE.format(rounds=rounds, shown=shown, clips=clips, result=result)


TRUE = """mean = {mean}
missing = {missing}
return {result}"""
SPREAD = "missing.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)"


def _true(
    mean: str = "F.avg_pool2d(drawn.flatten(0, 1), 2).unflatten(0, drawn.shape[:2])",
    missing: str = "below - mean",
    result: str = f"drawn + {SPREAD}",
) -> str:
    return TRUE.format(mean=mean, missing=missing, result=result)


LINE = """clips = stages[0]({start}, words)
by_itself, in_line = [score(clips, words)], [score(clips, words)]
for k in range(1, len(stages)):
    alone = stages[k]({alone}, words)
    clips = stages[k]({below}, {said})
    by_itself.append(score({judged}, words))
    in_line.append(score(clips, words))
return {result}"""


def _line(
    start: str = "None",
    alone: str = "real[k - 1]",
    below: str = "clips",
    said: str = "words",
    judged: str = "alone",
    result: str = "by_itself, in_line",
) -> str:
    return LINE.format(start=start, alone=alone, below=below, said=said, judged=judged, result=result)


LINE_CROSSED = """clips = alone = stages[0](None, words)
by_itself, in_line = [score(clips, words)], [score(clips, words)]
for k in range(1, len(stages)):
    clips = stages[k](alone, words)
    alone = stages[k](real[k - 1], words)
    by_itself.append(score(alone, words))
    in_line.append(score(clips, words))
return by_itself, in_line"""

WRONG = {
    "10-neighbours": [
        (
            "the after-frame taken from before",
            _neighbours(after="torch.cat([clips[:, :1], clips[:, :-1]], dim=1)"),
            "taken from before",
        ),
        (
            "around the frame",
            _neighbours(first="torch.cat([clips[:, :1], clips[:, :-1]], dim=1)"),
            "the frames around frame t",
        ),
        ("exchanged", _neighbours(first="after", second="clips"), "before and after are exchanged"),
        (
            "one too early",
            _neighbours(first="torch.cat([clips[:, :1], clips[:, :-1]], dim=1)", second="clips"),
            "one too early",
        ),
        ("a circle", _neighbours(after="clips.roll(-1, dims=1)"), "no circle"),
        (
            "black at the end",
            _neighbours(after="torch.cat([clips[:, 1:], torch.zeros_like(clips[:, :1])], dim=1)"),
            "stands black",
        ),
        ("beside itself", _neighbours(second="clips"), "beside itself"),
        (
            "channels take turns",
            f"after = {AFTER}\nreturn torch.stack([clips, after], dim=3).flatten(2, 3)",
            "take turns",
        ),
        (
            "the next clip",
            _neighbours(after="torch.cat([clips[1:], clips[-1:]])"),
            "the next clip of the batch",
        ),
        ("the last gap missing", "return torch.cat([clips[:, :-1], clips[:, 1:]], dim=2)", "the last gap is missing"),
        ("along time", _neighbours(dim=1), "one behind the other in time"),
        ("a new dimension", f"after = {AFTER}\nreturn torch.stack([clips, after], dim=2)", "a new dimension"),
        ("the mean", f"after = {AFTER}\nreturn (clips + after) / 2", "wanted (3, 3, 6, 3, 3)"),
        (
            "the motion continued",
            _neighbours(
                after="torch.cat([clips[:, 1:], 2 * clips[:, -1:] - clips[:, -2:-1] if clips.shape[1] > 1 else clips], "
                "dim=1)"
            ),
            "the motion goes on",
        ),
        (
            "two frames later",
            _neighbours(after="torch.cat([clips[:, 2:], clips[:, -1:], clips[:, -1:]], dim=1)[:, :clips.shape[1]]"),
            "two frames later",
        ),
        ("the difference", _neighbours(second="after - clips"), "what it differs by"),
        (
            "stacked and reshaped",
            f"after = {AFTER}\n"
            "B, T, C, H, W = clips.shape\n"
            "return torch.stack([clips, after], dim=1).reshape(B, T, 2 * C, H, W)",
            "reshape keeps the order",
        ),
        (
            "the last frame but one at the end",
            "after = clips.clone()\nafter[:, :-1] = clips[:, 1:]\nafter[:, -1] = clips[:, -2]\n"
            "return torch.cat([clips, after], dim=2)",
            "for 3 frames",
        ),
        (
            "each channel of the next frame is its first",
            _neighbours(second="after[:, :, :1].expand_as(clips)"),
            "for 3 frames",
        ),
        (
            "changed in place",
            "clips[:, :-1] = clips[:, 1:]\nreturn torch.cat([clips, clips], dim=2)",
            "has been changed",
        ),
        ("a list of two", f"return [clips, {AFTER}]", "wanted a tensor"),
    ],
    "10-noise": [
        (
            "values in [0, 1]",
            _noise(seen="(1 - share) * clips + share * noise"),
            "covered with their values in [0, 1]",
        ),
        (
            "one noise for all frames",
            _noise(noise="torch.randn(clips[:, :1].shape, generator=generator)"),
            "all frames of a clip have the same noise",
        ),
        (
            "one noise for all clips",
            _noise(noise="torch.randn(clips.shape[1:], generator=generator)"),
            "all clips have the same noise",
        ),
        (
            "one noise for all channels",
            _noise(noise="torch.randn(clips[:, :, :1].shape, generator=generator)"),
            "the channels share",
        ),
        (
            "one level for the whole batch",
            _noise(level="(max_level * torch.rand(1, generator=generator)).expand(len(clips))"),
            "all clips of a batch have one level",
        ),
        (
            "one level, told once",
            _noise(level="max_level * torch.rand(1, generator=generator)"),
            "one level for the whole batch",
        ),
        ("the level not returned", _noise().replace(", level[:, None]", ""), "a level that is not told"),
        ("the level told as 0", _noise(told="torch.zeros(len(clips), 1)"), "it is not told"),
        (
            "the highest level told",
            _noise(told="torch.full((len(clips), 1), max_level)"),
            "all clips of a batch have one level",
        ),
        (
            "another level told",
            _noise(told="max_level * torch.rand(len(clips), 1, generator=generator)"),
            "draw it once, and use it for both",
        ),
        ("the level without its dimension", _noise(told="level"), "wanted (4, 1)"),
        (
            "exchanged in the result",
            _noise(seen="level[:, None]", told="(1 - share) * (2 * clips - 1) + share * noise"),
            "the two are exchanged",
        ),
        (
            "factors exchanged",
            _noise(seen="share * (2 * clips - 1) + (1 - share) * noise"),
            "the factors are exchanged",
        ),
        ("the clip at full strength", _noise(seen="2 * clips - 1 + share * noise"), "as strong as before"),
        ("the noise at full strength", _noise(seen="(1 - share) * (2 * clips - 1) + noise"), "at full strength"),
        ("a root", _noise(seen="(1 - share**2).sqrt() * (2 * clips - 1) + share * noise"), "a root was taken"),
        (
            "moved back",
            _noise(seen="((1 - share) * (2 * clips - 1) + share * noise + 1) / 2"),
            "moved back to [0, 1]",
        ),
        ("no noise", _noise(seen="2 * clips - 1"), "is there noise"),
        ("levels up to 1", _noise(level="torch.rand(len(clips), generator=generator)"), "times max_level"),
        (
            "levels from a normal distribution",
            _noise(level="max_level * torch.randn(len(clips), generator=generator)"),
            "times max_level",
        ),
        (
            "small levels alone",
            _noise(level="max_level * torch.rand(len(clips), generator=generator) ** 3"),
            "evenly between 0 and max_level",
        ),
        ("global chance", _noise(noise="torch.randn_like(clips)"), "from nothing else"),
        (
            "the generator begun anew",
            "generator = torch.Generator().manual_seed(generator.initial_seed())\n" + _noise(),
            "begun anew",
        ),
        (
            "uniform noise",
            _noise(noise="torch.rand(clips.shape, generator=generator)"),
            "torch.randn",
        ),
        (
            "spread over time",
            _noise(
                share="level[:, None, None, None] if len(clips) == clips.shape[1] else level[:, None, None, None, None]"
            ),
            "the level of clip t",
        ),
        (
            "cut to [-1, 1]",
            _noise(seen="((1 - share) * (2 * clips - 1) + share * noise).clamp(-1, 1)"),
            "was cut to [-1, 1]",
        ),
        (
            "one noise for all rows",
            _noise(noise="torch.randn(clips[..., :1, :].shape, generator=generator)"),
            "all rows have the same noise",
        ),
        (
            "one noise for all columns",
            _noise(noise="torch.randn(clips[..., :1].shape, generator=generator)"),
            "all columns have the same noise",
        ),
        (
            "two frames share their noise",
            _noise(noise=f"{DRAWN}\nnoise[:, 1] = noise[:, 0]"),
            "the same noise as others",
        ),
        (
            "two clips share their noise",
            _noise(noise=f"{DRAWN}\nnoise[1] = noise[0]"),
            "the same noise as others",
        ),
        (
            "evenly spread noise of deviation 1",
            _noise(noise="12**0.5 * (torch.rand(clips.shape, generator=generator) - 0.5)"),
            "its fourth power is 1.8",
        ),
        (
            "signs for noise",
            _noise(noise="2.0 * torch.randint(0, 2, clips.shape, generator=generator) - 1"),
            "its fourth power is 1.0",
        ),
        (
            "levels in order",
            _noise(level="max_level * torch.rand(len(clips), generator=generator).sort().values"),
            "levels of its own size",
        ),
        (
            "a share of the levels for each clip",
            _noise(
                level="max_level / len(clips) * "
                "(torch.arange(len(clips)) + torch.rand(len(clips), generator=generator))"
            ),
            "levels of its own size",
        ),
        (
            "middle levels more often",
            _noise(level="max_level * torch.rand(2, len(clips), generator=generator).mean(dim=0)"),
            "more often than others",
        ),
        (
            "outer levels more often",
            _noise(level="max_level * (0.5 - 0.5 * torch.cos(torch.pi * torch.rand(len(clips), generator=generator)))"),
            "more often than others",
        ),
        (
            "eleven levels",
            _noise(level="max_level * torch.randint(0, 11, (len(clips),), generator=generator) / 10"),
            "more often than others",
        ),
        (
            "half of the levels",
            _noise(level="0.5 * torch.rand(len(clips), generator=generator)"),
            "only, wanted evenly from 0 to 0.8",
        ),
        (
            "two roots",
            _noise(seen="(1 - share).sqrt() * (2 * clips - 1) + share.sqrt() * noise"),
            "roots were taken",
        ),
        (
            "black and white exchanged",
            _noise(seen="(1 - share) * (1 - 2 * clips) + share * noise"),
            "black and white are exchanged",
        ),
        ("values around 0", _noise(seen="(1 - share) * (clips - 0.5) + share * noise"), "in [-0.5, 0.5]"),
        ("moved after the noise", _noise(seen="2 * ((1 - share) * clips + share * noise) - 1"), "twice as large"),
        ("a share told", _noise(share="max_level * level[:, None, None, None, None]"), "times the level"),
        (
            "the level of another clip told",
            _noise(told="level.flip(0)[:, None]"),
            "is not the one of the noise",
        ),
        ("what is left told", _noise(told="1 - level[:, None]"), "times max_level"),
        (
            "a level for each frame",
            "level = max_level * torch.rand(clips.shape[:2], generator=generator)\n"
            "share = level[:, :, None, None, None]\n"
            f"return (1 - share) * (2 * clips - 1) + share * {DRAWN}, level[:, :1]",
            "is not the one of the noise",
        ),
        ("levels by global chance", _noise(level="max_level * torch.rand(len(clips))"), "from nothing else"),
        (
            "levels of another type",
            _noise(level="max_level * torch.rand(len(clips), generator=generator, dtype=torch.float64)"),
            "of type torch.float64",
        ),
    ],
    "10-double": [
        (
            "given frames drawn over",
            _double(clips="between.repeat_interleave(2, dim=1)"),
            "given frames were drawn over: what was drawn",
        ),
        (
            "drawn over in the second round",
            "between = draw(neighbours(clips))\n"
            f"clips = {FOLDED}\n"
            "return draw(neighbours(clips)).repeat_interleave(2, dim=1)",
            "in the second round",
        ),
        (
            "given frames smoothed",
            "for _ in range(2):\n"
            "    between = draw(neighbours(clips))\n"
            f"    clips = {FOLDED}\n"
            "    clips[:, 2::2] = (between[:, :-1] + between[:, 1:]) / 2\n"
            "return clips",
            "by the mean of those beside them",
        ),
        ("doubled once", _double(rounds=1), "doubled once"),
        ("doubled three times", _double(rounds=3), "three times"),
        ("before", _double(clips="torch.stack([between, clips], dim=2).flatten(1, 2)"), "stand before those"),
        ("at the end", _double(clips="torch.cat([clips, between], dim=1)"), "at the end of the clip"),
        (
            "exchanged",
            _double(shown="torch.cat(neighbours(clips).chunk(2, dim=2)[::-1], dim=2)"),
            "exchanged in what is shown",
        ),
        (
            "the after-frame taken from before",
            _double(shown="torch.cat([torch.cat([clips[:, :1], clips[:, :-1]], dim=1), clips], dim=2)"),
            "the one before that",
        ),
        (
            "three times the same",
            "between = draw(neighbours(clips))\n"
            "return torch.stack([clips, between, between, between], dim=2).flatten(1, 2)",
            "put in three times",
        ),
        (
            "each frame twice",
            "between = draw(neighbours(clips))\n"
            "return torch.stack([clips, between], dim=2).flatten(1, 2).repeat_interleave(2, dim=1)",
            "each frame stands twice",
        ),
        (
            "without neighbours",
            _double(shown="torch.cat([clips[:, :-1], clips[:, 1:]], dim=2)"),
            "it stopped with",
        ),
        ("the clip alone shown", _double(shown="clips"), "wanted what neighbours returns"),
        (
            "draw not used",
            "return clips.repeat_interleave(4, dim=1)",
            "draw was not used",
        ),
        (
            "drawn too often",
            _double().replace("between = draw", "draw(neighbours(clips))\n    between = draw"),
            "twice is enough",
        ),
        ("a circle", _double(shown="torch.cat([clips, clips.roll(-1, dims=1)], dim=2)"), "no circle"),
        (
            "cut",
            _double().replace("draw(neighbours(clips))", "draw(neighbours(clips)).clamp(0, 1)"),
            "was cut to [0, 1]",
        ),
        (
            "the mean in the second round",
            "between = draw(neighbours(clips))\n"
            f"clips = {FOLDED}\n"
            "between = neighbours(clips).unflatten(2, (2, -1)).mean(dim=2)\n"
            f"return {FOLDED}",
            "all of it once more",
        ),
        (
            "the second round shown the first clip",
            "between = draw(neighbours(clips))\n"
            f"doubled = {FOLDED}\n"
            "return interleaved(doubled, draw(neighbours(clips)).repeat_interleave(2, dim=1))",
            "put in three times",
        ),
        (
            "doubled up to 16 frames",
            "while clips.shape[1] < 16:\n    clips = interleaved(clips, draw(neighbours(clips)))\nreturn clips",
            "three times",
        ),
        ("the last frames left out", _double(result="clips[:, :-3]"), "wanted (3, 12, 3, 2, 2)"),
        (
            "gap by gap",
            _double(clips=FOLDED).replace(
                "draw(neighbours(clips))",
                "torch.cat([draw(gap) for gap in neighbours(clips).split(1, dim=1)], dim=1)",
            ),
            "twice is enough",
        ),
        (
            "along the channels",
            _double(clips="torch.cat([clips, between], dim=2)", shown="neighbours(clips)"),
            "wanted",
        ),
    ],
    "10-true": [
        ("wrong sign", _true(missing="mean - below"), "the wrong sign"),
        ("the clip below", _true(missing="below", result=SPREAD), "the drawn clip is lost"),
        (
            "straight lines",
            _true(
                result="drawn + F.interpolate(missing.flatten(0, 1), scale_factor=2, mode='bilinear')"
                ".unflatten(0, drawn.shape[:2])"
            ),
            "by straight lines",
        ),
        ("one pixel for the mean", _true(mean="drawn[..., ::2, ::2]"), "from one pixel"),
        ("divided by 4", _true(missing="(below - mean) / 4"), "divided by 4"),
        ("multiplied by 4", _true(missing="4 * (below - mean)"), "multiplied by 4"),
        (
            "on one pixel",
            _true(result="drawn.clone()").replace(
                "return drawn.clone()",
                "right = drawn.clone()\nright[..., ::2, ::2] += 4 * missing\nreturn right",
            ),
            "one pixel of each block bears",
        ),
        ("multiplied", _true(missing="below / mean", result=f"drawn * {SPREAD}"), "pixels were multiplied"),
        ("cut", _true(result=f"(drawn + {SPREAD}).clamp(0, 1)"), "cut to [0, 1]"),
        ("nothing changed", "return drawn.clone()", "nothing has changed"),
        ("half of it", _true(missing="(below - mean) / 2"), "half of the difference"),
        ("the small size", _true(result="mean + missing"), "wanted (3, 3, 3, 6, 6)"),
        ("cut at 0", _true(result=f"(drawn + {SPREAD}).clamp(min=0)"), "cut at 0"),
        ("cut at 1", _true(result=f"(drawn + {SPREAD}).clamp(max=1)"), "cut at 1"),
        ("cut to [-1, 1]", _true(result=f"(drawn + {SPREAD}).clamp(-1, 1)"), "cut at 1"),
        ("the clip repeated", _true(result="drawn + missing.repeat(1, 1, 1, 2, 2)"), "repeat_interleave, not repeat"),
        (
            "rows interleaved, columns repeated",
            _true(result="drawn + missing.repeat_interleave(2, dim=-2).repeat(1, 1, 1, 1, 2)"),
            "the mean of each block",
        ),
        ("shrunk by resize", _true(mean="resize(drawn, *below.shape[-2:])"), "looks beyond the block"),
        (
            "spread by resize",
            _true(result="drawn + resize(missing, *drawn.shape[-2:])"),
            "resize spread what is missing",
        ),
        (
            "the largest pixel",
            _true(mean="F.max_pool2d(drawn.flatten(0, 1), 2).unflatten(0, drawn.shape[:2])"),
            "the largest pixel",
        ),
        ("the sum", _true(missing="below - 4 * mean"), "were added"),
        (
            "the mean of the frame",
            _true(missing="(below - mean).mean(dim=(-2, -1), keepdim=True)", result="drawn + missing"),
            "the mean of the whole frame",
        ),
        ("the mean of all frames", _true(missing="(below - mean).mean(dim=1, keepdim=True)"), "the mean of each block"),
        (
            "the mean of all channels",
            _true(missing="(below - mean).mean(dim=2, keepdim=True)"),
            "the mean of each block",
        ),
        (
            "two pixels of four",
            _true(mean="(drawn[..., ::2, ::2] + drawn[..., 1::2, ::2]) / 2"),
            "the mean of each block",
        ),
        ("rounded", _true(result=f"((drawn + {SPREAD}) * 255).round() / 255"), "the mean of each block"),
        ("changed in place", _true(result="drawn").replace("return", f"drawn += {SPREAD}\nreturn"), "has been changed"),
    ],
    "10-line": [
        (
            "real clips in both",
            _line(below="real[k - 1]"),
            "the real clip rather than the drawn one",
        ),
        ("drawn clips in both", _line(alone="clips"), "given the drawn clip"),
        ("the base's clip for all", "base = stages[0](None, words)\n" + _line(below="base"), "the base's clip"),
        (
            "what the stage below drew of a real clip",
            LINE_CROSSED,
            "has drawn of a real clip",
        ),
        ("words to the base alone", _line(said='[""]'), "to the base alone"),
        ("its own kind", _line(alone="real[k]"), "its own kind"),
        ("real clips scored", _line(judged="real[k]"), "the real clips were scored"),
        ("lists exchanged", _line(result="in_line, by_itself"), "the two lists are exchanged"),
        ("one list", _line(result="in_line"), "two lists of numbers"),
        ("the base left out", _line(result="by_itself[1:], in_line[1:]"), "one for each of 3 stages"),
        ("a clip for the base", _line(start="real[0]"), "called with none"),
        (
            "the base drawn twice",
            _line().replace(
                "by_itself, in_line = [score(clips, words)]",
                "by_itself, in_line = [score(stages[0](None, words), words)]",
            ),
            "it is drawn once",
        ),
        (
            "clips, not scores",
            _line().replace("in_line.append(score(clips, words))", "in_line.append(clips)"),
            "wanted a number",
        ),
        ("the first caption told", _line(said="words[:1]"), "the first caption alone was told to the stages"),
        (
            "scored by the first caption",
            _line().replace("in_line.append(score(clips, words))", "in_line.append(score(clips, words[:1]))"),
            "the first caption alone was told to score",
        ),
        ("in order of size", _line(result="by_itself, sorted(in_line)"), "the scores in the line"),
        ("the first real clip for all", _line(alone="real[0]"), "the same real clip"),
        ("the last real clip for all", _line(alone="real[-1]"), "given real[k - 1]"),
        (
            "no words by itself",
            _line(alone="real[k - 1]").replace("stages[k](real[k - 1], words)", 'stages[k](real[k - 1], [""])'),
            "by itself: the words",
        ),
        (
            "a real clip scored as the base's",
            _line().replace(
                "by_itself, in_line = [score(clips, words)]", "by_itself, in_line = [score(real[0], words)]"
            ),
            "a real clip was scored as the base's",
        ),
        ("three stages whatever comes", _line().replace("range(1, len(stages))", "range(1, 3)"), "one for each of 4"),
        (
            "pairs",
            _line(result="list(zip(by_itself, in_line))"),
            "a list of 3",
        ),
        ("a dictionary", _line(result='{"by itself": by_itself, "in the line": in_line}'), "is a dict"),
        (
            "stages the other way round",
            _line(below="clips").replace("clips = stages[k](clips", "clips = stages[-k](clips"),
            "the scores in the line",
        ),
        (
            "the difference",
            _line().replace(
                "in_line.append(score(clips, words))", "in_line.append(by_itself[-1] - score(clips, words))"
            ),
            "the scores in the line",
        ),
        (
            "the whole line anew for each stage",
            """def line(number):
    clips = None
    for stage in stages[:number]:
        clips = stage(clips, words)
    return score(clips, words)
in_line = [line(number) for number in range(1, len(stages) + 1)]
alone = [score(stage(truth, words), words) for stage, truth in zip(stages[1:], real)]
return [in_line[0], *alone], in_line""",
            "it is drawn once",
        ),
    ],
}
