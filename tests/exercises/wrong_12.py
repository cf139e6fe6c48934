"""Plausible wrong answers to the exercises of chapter 12: name, body, and words that the check's line must hold."""

GIVEN = """mask = known[:, :, None, None, None].float()
frames = {frames}
return torch.cat([{seen}, {channel}], dim={dim})"""
FRAMES, CHANNEL = "to_signed(clips) * mask", "mask.expand_as(frames[:, :, :1])"


def _given(frames: str = FRAMES, seen: str = "frames", channel: str = CHANNEL, dim: int = 2) -> str:
    return GIVEN.format(frames=frames, seen=seen, channel=channel, dim=dim)


HOLD = """z, where = {start}, {where}
for i, (here, there) in enumerate(pairwise({steps})):
    clean = denoise(z, here.expand(len(z)))
    {hold}
    z = z + (there - here) * (z - clean) / here
    {after}
return {result}"""
WHERE, HELD = "known[:, :, None, None, None]", "clean = torch.where(where, frames, clean)"


def _hold(
    start: str = "noise",
    where: str = WHERE,
    steps: str = "steps",
    hold: str = HELD,
    after: str = "pass",
    result: str = "z",
) -> str:
    return HOLD.format(start=start, where=where, steps=steps, hold=hold, after=after, result=result)


LOSS = """mask = known[:, :, None, None, None].float()
s = noise_step[:, None, None, None, None]
z = {z}
given = torch.cat([{frames}, {channel}.expand_as(clean[:, :, :1])], dim=2)
answer = network({asked})
return {result}"""


def _loss(
    z: str = "(1 - s) * clean + s * epsilon",
    frames: str = "clean * mask",
    channel: str = "mask",
    asked: str = "z, noise_step, given",
    result: str = "(answer - clean).square().mean()",
) -> str:
    return LOSS.format(z=z, frames=frames, channel=channel, asked=asked, result=result)


STRENGTH = """strength = {strength}
flag = is_told.float()
return torch.stack([{first}, {second}], dim={dim})"""
LENGTHS = "position.diff(dim=1).norm(dim=2)"


def _strength(
    strength: str = f"({LENGTHS}.mean(dim=1) / fastest).clamp(max=1)",
    first: str = "strength * flag",
    second: str = "flag",
    dim: int = 1,
) -> str:
    return STRENGTH.format(strength=strength, first=first, second=second, dim=dim)


GOOD = """same = {same}
return {result}"""
SAME, REST = "psnr(clips[:, :1], pictures[:, None])[:, 0] >= 30", "verdict.valid & verdict.identity & verdict.motion"


def _good(same: str = SAME, result: str = f"same & {REST}") -> str:
    return GOOD.format(same=same, result=result)


WRONG = {
    "12-given": [
        ("the mask missing", "return to_signed(clips) * known[:, :, None, None, None]", "the mask is missing"),
        ("the mask inverted", _given(channel=f"1 - {CHANNEL}"), "the mask is upside down"),
        ("all inverted", "known = ~known\n" + _given(), "what is not known is shown"),
        ("in [0, 1]", _given(frames="clips * mask"), "still in [0, 1]"),
        ("unknown frames black", _given(frames="to_signed(clips * mask)"), "frames that are not known are black"),
        ("unknown frames shown", _given(frames="to_signed(clips)"), "can be seen"),
        ("in reverse order", _given().replace("return ", "given = ") + "\nreturn given.flip(1)", "in reverse order"),
        ("the last frame first", _given(seen="frames.flip(1)"), "the last frame stands first"),
        (
            "the mask first",
            _given().replace("frames, mask.expand", "mask.expand").replace("[:, :, :1])]", "[:, :, :1]), frames]"),
            "before the colours",
        ),
        ("all known", _given(channel="torch.ones_like(frames[:, :, :1])"), "all frames are said to be known"),
        ("none known", _given(channel="torch.zeros_like(frames[:, :, :1])"), "no frame is said to be known"),
        (
            "the first frame everywhere",
            _given(seen="to_signed(clips[:, :1]).expand_as(clips)"),
            "the first frame stands in every frame",
        ),
        ("a mask of three channels", _given(channel="mask.expand_as(frames)"), "one is enough"),
        ("a mask in [-1, 1]", _given(channel="(2 * mask - 1).expand_as(frames[:, :, :1])"), "in [-1, 1], too"),
        (
            "the mask over the batch",
            "known = known.T if known.shape[0] == known.shape[1] else known\n" + _given(),
            "the mask of clip b",
        ),
        ("behind the frames", _given(channel="mask.expand_as(frames)", dim=1), "wanted (5, 5, 4, 4, 4)"),
    ],
    "12-hold": [
        ("at step 0 only", _hold(hold=f"clean = clean if i else {HELD[8:]}"), "in the first step only"),
        (
            "in the last step only",
            _hold(hold=f"clean = {HELD[8:]} if there == 0 else clean"),
            "held in the last step only",
        ),
        ("pasted at the end", _hold(hold="pass", result="torch.where(where, frames, z)"), "pasted over the result"),
        (
            "begun with the picture",
            _hold(start="torch.where(known[:, :, None, None, None], frames, noise)", hold="pass"),
            "began with the picture",
        ),
        ("z overwritten", _hold(after="z = torch.where(where, frames, z)"), "z itself was overwritten"),
        ("not held", _hold(hold="pass"), "nothing was held"),
        ("the mask inverted", _hold(where=f"~{WHERE}"), "the mask is upside down"),
        ("moved to [-1, 1] again", _hold(hold=HELD.replace("frames", "2 * frames - 1")), "once more"),
        ("moved to [0, 1]", _hold(hold=HELD.replace("frames", "(frames + 1) / 2")), "the frames are in [0, 1]"),
        ("the last frame first", _hold(hold=HELD.replace("frames", "frames.flip(1)")), "the last frame stands first"),
        (
            "all held to the first",
            _hold(hold=HELD.replace("frames", "frames[:, :1].expand_as(frames)")),
            "held to the first one",
        ),
        (
            "held to noisy frames",
            _hold(hold=HELD.replace("frames", "(1 - here) * frames + here * noise")),
            "put under noise before they were held",
        ),
        (
            "told where it goes",
            _hold().replace("denoise(z, here.", "denoise(z, there."),
            "tell it where it is",
        ),
        ("one number for all", _hold().replace("here.expand(len(z))", "here"), "one noise step for each"),
        ("the last step missing", _hold(steps="steps[:-1]"), "the last step is missing"),
        (
            "the mask over the batch",
            _hold(where="(known.T if len(known) == known.shape[1] else known)[:, :, None, None, None]"),
            "the mask of clip b",
        ),
        ("asked twice", _hold(hold=f"denoise(z, here.expand(len(z)))\n    {HELD}"), "wanted once for each"),
        ("the noise", "return noise.clone()", "was not asked"),
    ],
    "12-loss": [
        ("the conditioning frame noised", _loss(frames="z * mask"), "shown under noise"),
        ("the conditioning frame is noise", _loss(frames="epsilon * mask"), "is shown as noise"),
        ("all frames shown", _loss(frames="clean"), "frames that are not known are shown"),
        ("all inverted", _loss(frames="clean * (1 - mask)", channel="(1 - mask)"), "the mask is upside down"),
        ("the mask inverted", _loss(channel="(1 - mask)"), "the mask's channel is upside down"),
        ("no mask", _loss(channel="(0 * mask)"), "the mask is 0 everywhere"),
        ("in [0, 1]", _loss(frames="(clean + 1) / 2 * mask"), "shown in [0, 1]"),
        ("moved again", _loss(frames="to_signed(clean.clamp(0, 1)) * mask"), "wanted"),
        ("the last frame first", _loss(asked="z, noise_step, given.flip(1)"), "the last frame is shown first"),
        (
            "known frames without noise",
            _loss(z="torch.where(mask > 0, clean, (1 - s) * clean + s * epsilon)"),
            "no noise lies",
        ),
        ("no noise", _loss(z="clean"), "without noise"),
        ("noise alone", _loss(z="epsilon"), "the noise alone"),
        ("factors exchanged", _loss(z="s * clean + (1 - s) * epsilon"), "exchanged"),
        (
            "the step on the columns",
            _loss(z="(1 - noise_step) * clean + noise_step * epsilon if len(s) == clean.shape[-1] else clean"),
            "landed on the pixels of column b",
        ),
        ("the step not told", _loss(asked="z, torch.zeros_like(noise_step), given"), "not told the noise step"),
        ("the mask not shown", _loss(asked="z, noise_step, given[:, :, :3]"), "what is known as a tensor"),
        ("compared with the noise", _loss(result="(answer - epsilon).square().mean()"), "compared with the noise"),
        ("compared with z", _loss(result="(answer - z).square().mean()"), "what the network was shown"),
        (
            "unknown frames alone",
            _loss(result="(answer - clean).square()[~known].mean()"),
            "only the frames that are not known",
        ),
        ("known frames alone", _loss(result="(answer - clean).square()[known].mean()"), "only the known frames"),
        ("known errors at 0", _loss(result="((answer - clean).square() * (1 - mask)).mean()"), "are set to 0"),
        ("summed", _loss(result="(answer - clean).square().sum()"), "summed"),
        ("absolute", _loss(result="(answer - clean).abs().mean()"), "absolute"),
        ("detached", _loss(result="(answer.detach() - clean).square().mean()"), "no gradient"),
    ],
    "12-strength": [
        ("motion strength ignored", _strength(first="0 * flag"), "motion strength is ignored"),
        ("nothing told", _strength(first="0 * flag", second="0 * flag"), "nothing is told"),
        ("one for all", _strength(first="strength.mean() * flag"), "all clips have the same strength"),
        ("told always", _strength(first="strength"), "told of clips where it is not to be"),
        ("the flag inverted", _strength(second="1 - flag"), "the second number is upside down"),
        ("both inverted", _strength(first="strength * (1 - flag)", second="1 - flag"), "the other way round"),
        ("the flag always 1", _strength(second="torch.ones_like(flag)"), "1 for all clips"),
        ("exchanged", _strength(first="flag", second="strength * flag"), "the strength comes first"),
        ("turned", _strength(dim=0), "two numbers for each clip"),
        (
            "from first to last",
            _strength(
                "((position[:, -1] - position[:, 0]).norm(dim=1) / (position.shape[1] - 1) / fastest).clamp(max=1)"
            ),
            "from the first place to the last",
        ),
        ("summed", _strength(f"({LENGTHS}.sum(dim=1) / fastest).clamp(max=1)"), "the steps are summed"),
        ("the longest", _strength(f"({LENGTHS}.amax(dim=1) / fastest).clamp(max=1)"), "the longest step"),
        ("in pixels, cut off", _strength(f"{LENGTHS}.mean(dim=1).clamp(max=1)"), "the strength is in pixels"),
        ("in pixels", _strength(f"{LENGTHS}.mean(dim=1)"), "in pixels, and may be above 1"),
        ("above 1", _strength(f"{LENGTHS}.mean(dim=1) / fastest"), "strengths above 1 came"),
        (
            "rows and columns added",
            _strength("(position.diff(dim=1).abs().sum(dim=2).mean(dim=1) / fastest).clamp(max=1)"),
            "rows and columns were added",
        ),
        (
            "one step too many",
            _strength(f"({LENGTHS}.sum(dim=1) / position.shape[1] / fastest).clamp(max=1)"),
            "one step less",
        ),
    ],
    "12-good": [
        (
            "a frozen output scored as perfect",
            _good(result="same & verdict.valid & verdict.identity"),
            "a frozen clip is scored as perfect",
        ),
        ("first frame and IDENTITY", _good(result="same & verdict.identity"), "say nothing of motion"),
        ("the first frame alone", _good(result="same"), "a frozen clip is called good"),
        ("the picture not compared", f"return {REST}", "not compared with the picture"),
        ("any test", _good(result="same | verdict.valid | verdict.identity | verdict.motion"), "one test is enough"),
        ("fewer decibels", _good(same=SAME.replace(">=", "<")), "fewer decibels are worse"),
        (
            "all frames like the picture",
            _good(same="psnr(clips, pictures[:, None].expand_as(clips)).mean(dim=1) >= 30"),
            "what moves is punished",
        ),
        (
            "every frame is the picture",
            _good(same="(psnr(clips, pictures[:, None].expand_as(clips)) >= 30).all(dim=1)"),
            "then nothing may move",
        ),
        ("the last frame", _good(same=SAME.replace("[:, :1]", "[:, -1:]")), "the last frame is compared"),
        (
            "some frame",
            _good(same="(psnr(clips, pictures[:, None].expand_as(clips)) >= 30).any(dim=1)"),
            "some frame has to be",
        ),
        ("identity left out", _good(result="same & verdict.motion"), "is called good"),
        (
            "nothing may stand still",
            _good(result=f'same & {REST} & torch.tensor([c.motion != "still" for c in verdict.combinations])'),
            "may stand still",
        ),
        (
            "a law is enough",
            _good(result="same & verdict.valid & verdict.identity & (verdict.motion_error <= 0.03)"),
            "the law of motion",
        ),
        ("stricter", _good(same=SAME.replace("30", "60")), "stricter"),
        ("laxer", _good(same=SAME.replace("30", "20")), "laxer"),
        ("one number", _good(result=f"(same & {REST}).all()"), "wanted (10,)"),
        ("as numbers", _good(result=f"(same & {REST}).float()"), "wanted torch.bool"),
    ],
}
