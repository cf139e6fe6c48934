"""The exercises of chapter 10: neighbours, noise on what is given, more frames, true to the clip below, a line."""

from collections.abc import Callable
from numbers import Real

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course import budget
from course.clips import resize
from course.exercises.checking import Exercise, holds, same
from course.generation.cascade import neighbours


def _pair(before: Tensor, after: Tensor) -> Tensor:
    return torch.cat([before, after], dim=2)


def _neighbours(answer: object) -> None:
    chance = budget.generator(0)
    for form in ((3, 3, 3, 3, 3), (2, 4, 3, 5, 6), (1, 1, 1, 2, 2)):
        clips = torch.rand(form, generator=chance)
        wanted = _pair(clips, _later(clips))
        usual = _wrong_neighbours(clips) if form[1] > 1 else {}
        same(
            answer(clips),
            wanted,
            what=f"for {form[1]} frames the result",
            usual={words: value for words, value in usual.items() if not _alike(value, wanted)},
            look="the clips, and the clips one frame later with the last frame once more; then dimension 2",
        )


def _later(clips: Tensor) -> Tensor:
    return torch.cat([clips[:, 1:], clips[:, -1:]], dim=1)


def _wrong_neighbours(clips: Tensor) -> dict[str, Tensor]:
    """Return what the usual mistakes make of two frames or more."""
    after = _later(clips)
    earlier = torch.cat([clips[:, :1], clips[:, :-1]], dim=1)
    black = torch.cat([clips[:, 1:], torch.zeros_like(clips[:, :1])], dim=1)
    beyond = torch.cat([clips[:, 1:], 2 * clips[:, -1:] - clips[:, -2:-1]], dim=1)
    return {
        "the frame after is taken from before: frame t stands beside frame t - 1, and is to stand beside t + 1": _pair(
            clips, earlier
        ),
        "the two are the frames around frame t, t - 1 and t + 1: the gap lies between t and t + 1": _pair(
            earlier, after
        ),
        "before and after are exchanged: the earlier frame comes first": _pair(after, clips),
        "the frame before is taken from one too early: these are frames t - 1 and t": _pair(earlier, clips),
        "the frame after is taken from two frames later: it is frame t + 1": _pair(clips, _later(after)),
        "behind the last frame stands the first one: a clip is no circle, and the last frame is to stand twice": (
            _pair(clips, clips.roll(-1, dims=1))
        ),
        "behind the last frame stands black: it is to stand twice": _pair(clips, black),
        "behind the last frame the motion goes on: that is for the network to draw, and what it sees there is the "
        "last frame twice": _pair(clips, beyond),
        "every frame stands beside itself: one of the two is to be a frame later": _pair(clips, clips),
        "in place of the frame after stands what it differs by: give it as it is": _pair(clips, after - clips),
        "their channels take turns: all channels of the frame come first, then all of the next one": torch.stack(
            [clips, after], dim=3
        ).flatten(2, 3),
        "frames and channels are mixed up, for reshape keeps the order of the numbers: use torch.cat, along the "
        "channels": torch.stack([clips, after], dim=1).reshape(_pair(clips, after).shape),
        "the next clip of the batch stands in place of the next frame: frames are dimension 1": _pair(
            clips, torch.cat([clips[1:], clips[-1:]])
        ),
        "the last gap is missing: behind the last frame it stands twice, so there is one gap for each frame": _pair(
            clips, after
        )[:, :-1],
        "they stand one behind the other in time: put them behind one another on the channels, dimension 2": (
            torch.cat([clips, after], dim=1)
        ),
        "they stand in a new dimension: put them behind one another on the channels": torch.stack(
            [clips, after], dim=2
        ),
    }


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-3)


_SHARED = (
    ((2, 3, 4), "one number lies over a whole frame: every pixel has its own noise"),
    ((3,), "all rows have the same noise: every pixel has its own"),
    ((4,), "all columns have the same noise: every pixel has its own"),
    ((2,), "the channels share their noise: every pixel has its own in each channel"),
    ((1,), "all frames of a clip have the same noise: the difference of two frames would be free of it"),
    ((0,), "all clips have the same noise: draw for every clip"),
)


def _noise(answer: object) -> None:
    for B, T, most in ((4, 4, 0.5), (3, 5, 0.8)):
        clips = torch.rand(B, T, 3, 5, 5, generator=budget.generator(T))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            first = _two(answer(clips, most, budget.generator(0)), clips)
            torch.manual_seed(2)
            again = _two(answer(clips, most, budget.generator(0)), clips)
        holds(
            all(map(torch.equal, first, again)),
            "the same generator gave another result: draw from generator and from nothing else.",
        )
        one = budget.generator(0)
        calls = [_two(answer(clips, most, one), clips) for _ in range(2)]
        holds(
            not torch.equal(calls[0][0], calls[1][0]),
            "two calls with one generator gave the same: is there noise, from it, and is it not begun anew?",
        )
        draws = [_two(answer(clips, most, budget.generator(seed)), clips) for seed in range(400)]
        seen, levels = (torch.stack(values) for values in zip(*draws, strict=True))  # (400, B, T, 3, 5, 5), (400, B, 1)
        _levels(levels[..., 0], most)
        share = levels.view(-1, B, 1, 1, 1, 1)
        signed = 2 * clips - 1

        # What lies over the clips, for each way in which they may be covered; right is the first.
        grains = {
            "": (seen - (1 - share) * signed) / share,
            "the clips are covered with their values in [0, 1]: they are to lie in [-1, 1], or black has no noise of "
            "its own size": (seen - (1 - share) * clips) / share,
            "the factors are exchanged: the clip is multiplied by 1 - level and the noise by level": (
                (seen - share * signed) / (1 - share)
            ),
            "the clip is as strong as before: multiply it by 1 - level": (seen - signed) / share,
            "the noise lies over the clip at full strength: multiply it by the level": seen - (1 - share) * signed,
            "a root was taken, as other schedules do: on the flow the factors are 1 - level and level": (
                (seen - (1 - share.square()).sqrt() * signed) / share
            ),
            "roots were taken, as other schedules do: on the flow the factors are 1 - level and level": (
                (seen - (1 - share).sqrt() * signed) / share.sqrt()
            ),
            "black and white are exchanged: clips in [-1, 1] are 2 * clips - 1": (seen + (1 - share) * signed) / share,
            "the clips are covered with values in [-0.5, 0.5]: they are to lie in [-1, 1], so 2 * clips - 1": (
                (seen - (1 - share) * signed / 2) / share
            ),
            "the noise was made twice as large with the clips: move the clips to [-1, 1] first, then put the noise "
            "over them": (seen + 1 - 2 * (1 - share) * clips) / (2 * share),
            "the result is moved back to [0, 1]: leave it as it is, about -1 to 1": (
                ((2 * seen - 1) - (1 - share) * signed) / share
            ),
        }
        if torch.allclose(seen, signed.expand_as(seen), atol=1e-5) or torch.allclose(
            seen, clips.expand_as(seen), atol=1e-5
        ):
            holds(False, "no noise lies over the clips: at level l they are (1 - l) * clip + l * noise.")
        ends = (seen == seen.amin()) | (seen == seen.amax())
        holds(
            ends.float().mean() < 1e-3 or ends.all(),
            f"the result was cut to [{seen.min().item():g}, {seen.max().item():g}]: leave it as it is, noise has no "
            "bounds.",
        )
        for words, grain in grains.items():
            if not _noise_like(grain, signed):
                continue
            for dimensions, shared in _SHARED:
                flat = grain[:4].mean(dim=[d + 1 for d in dimensions], keepdim=True)
                holds(not torch.allclose(grain[:4], flat.expand_as(grain[:4]), atol=1e-3), f"{shared}.")
            holds(not words, f"{words}.")
            holds(
                _drawn_apart(grain),
                "some pixels have the same noise as others: every pixel of every frame and clip has its own.",
            )
            fourth = grain.pow(4).mean().item()  # of normal noise 3, of evenly spread noise 1.8
            holds(
                abs(fourth - 3) < 0.3,
                f"the noise has deviation 1, but its fourth power is {fourth:.1f} on average, wanted 3: normal noise, "
                "torch.randn.",
            )
            break
        else:
            _unexplained(seen, levels, signed)


def _two(result: object, clips: Tensor) -> tuple[Tensor, Tensor]:
    holds(
        isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(one, Tensor) for one in result),
        f"the result is {'one tensor' if isinstance(result, Tensor) else f'a {type(result).__name__}'}, wanted two "
        "tensors: the clips under noise and the levels. A level that is not told is lost.",
    )
    seen, levels = result
    B = len(clips)
    holds(
        not (seen.shape == (B, 1) and levels.shape == clips.shape),
        "the two are exchanged: first the clips, then the levels.",
    )
    holds(
        seen.shape == clips.shape,
        f"the clips under noise have shape {tuple(seen.shape)}, wanted {tuple(clips.shape)}.",
    )
    holds(
        levels.shape == (B, 1),
        f"the levels have shape {tuple(levels.shape)}, wanted ({B}, 1): one row for each clip"
        f"{', so one level for the whole batch will not do' if levels.numel() == 1 else ''}.",
    )
    for name, one in (("clips under noise", seen), ("levels", levels)):
        holds(one.dtype == torch.float32, f"the {name} are of type {one.dtype}, wanted torch.float32.")
    return seen, levels


def _levels(levels: Tensor, most: float) -> None:
    """levels: (400, B), as they were told."""
    holds(
        not torch.allclose(levels, levels[:, :1].expand_as(levels)),
        "all clips of a batch have one level"
        + (", and it is 0: it is not told" if levels.abs().max() == 0 else ": draw one for each clip")
        + ".",
    )
    holds(
        not torch.allclose(levels[0].expand_as(levels), levels),
        "the levels are the same whatever the generator: draw them from it.",
    )
    low, high, mean = levels.min().item(), levels.max().item(), levels.mean().item()
    holds(
        low >= 0 and high <= most + 1e-6,
        f"the levels run from {low:.2f} to {high:.2f}, wanted 0 to {most:g}: torch.rand, times max_level.",
    )
    holds(
        high > 0.9 * most and low < 0.1 * most,
        f"the levels run from {low:.2f} to {high:.2f} only, wanted evenly from 0 to {most:g}.",
    )
    holds(
        abs(mean - most / 2) < 0.06 * most,
        f"the levels are {mean:.2f} on average, wanted {most / 2:g}: evenly between 0 and max_level.",
    )
    for levels_of, most_apart, words in (
        (
            levels.flatten()[:, None],
            0.07,
            "some levels come more often than others: evenly between 0 and max_level is torch.rand, times max_level.",
        ),
        (
            levels,
            0.12,
            "each clip has levels of its own size, such as the first of the batch the smallest: every clip is to get "
            "any level from 0 to max_level, so leave them in the order in which they were drawn.",
        ),
    ):
        even = torch.linspace(0, most, len(levels_of))[:, None]  # levels that are spread evenly, the smallest first
        holds((levels_of.sort(dim=0).values - even).abs().max() < most_apart * most, words)


def _noise_like(grain: Tensor, signed: Tensor) -> bool:
    """Tell whether what lies over the clips has mean 0 and deviation 1 and knows nothing of them."""
    values = grain.flatten(2)  # (400, B, numbers)
    with_clip = (grain * signed).flatten(2).mean(dim=2).mean(dim=0)  # (B,)
    return bool(
        values.isfinite().all()
        and abs(values.mean().item()) < 0.02
        and (values.square().mean(dim=(0, 2)) - 1).abs().max() < 0.1
        and with_clip.abs().max() < 0.02
        and values.square().mean(dim=2).std() < 0.9
    )


def _drawn_apart(grain: Tensor) -> bool:
    """Tell whether no two pixels of what lies over the clips rise and fall together."""
    values = grain.flatten(1)  # (400, numbers)
    together = (values.mT @ values / len(values)).fill_diagonal_(0)
    return bool(together.abs().max() < 0.5)


def _unexplained(seen: Tensor, levels: Tensor, signed: Tensor) -> None:
    """Say what is wrong with noise that fits no usual mistake."""
    share = levels.view(*levels.shape[:2], 1, 1, 1, 1)
    grain = (seen - (1 - share) * signed) / share.clamp(min=1e-3)
    B, T = signed.shape[:2]
    if B == T:
        columns = levels.view(len(levels), 1, T, 1, 1, 1)
        holds(
            not _noise_like((seen - (1 - columns) * signed) / columns, signed),
            "frame t of every clip got the level of clip t: B and T are the same number here, so the shape cannot "
            "tell; give the levels four dimensions behind the first.",
        )
    # Another draw of levels than the one that is told leaves noise of another size.
    strength = grain.flatten(2).std(dim=2)  # (400, B)
    holds(
        strength.std() < 0.3,
        "the level that is told is not the one of the noise that lies over the clip: draw it once, and use it for "
        "both.",
    )
    holds(
        False,
        f"what lies over the clips has mean {grain.mean().item():.2f} and deviation {strength.mean().item():.2f} times "
        "the level, wanted 0 and 1: torch.randn, and the clips as 2 * clips - 1.",
    )


class _Filler:
    """A stage between frames that can be computed by hand; it remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Tensor] = []

    def __call__(self, given: Tensor) -> Tensor:
        holds(
            isinstance(given, Tensor) and given.ndim == 5 and given.shape[2] % 2 == 0,
            f"draw was given {tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__}, wanted what "
            "neighbours returns: (B, T, 2 * C, H, W).",
        )
        self.shown.append(given)
        return self.fill(given)

    @staticmethod
    def fill(given: Tensor) -> Tensor:
        before, after = given.chunk(2, dim=2)
        return 0.3 * before + 0.7 * after.square() + 0.1


def _round(clips: Tensor, how: str = "") -> Tensor:
    """Double the frames once, right or with one of the usual mistakes."""
    between = _Filler.fill(neighbours(clips))
    if how == "before":
        return torch.stack([between, clips], dim=2).flatten(1, 2)
    if how == "end":
        return torch.cat([clips, between], dim=1)
    if how == "over":
        return between.repeat_interleave(2, dim=1)
    if how == "smoothed":
        doubled = torch.stack([clips, between], dim=2).flatten(1, 2)
        doubled[:, 2::2] = (between[:, :-1] + between[:, 1:]) / 2
        return doubled
    if how == "exchanged":
        between = _Filler.fill(torch.cat(neighbours(clips).chunk(2, dim=2)[::-1], dim=2))
    if how == "circle":
        between = _Filler.fill(torch.cat([clips, clips.roll(-1, dims=1)], dim=2))
    if how == "cut":
        between = between.clamp(0, 1)
    if how == "earlier":
        between = _Filler.fill(torch.cat([torch.cat([clips[:, :1], clips[:, :-1]], dim=1), clips], dim=2))
    return torch.stack([clips, between], dim=2).flatten(1, 2)


def _double(answer: object) -> None:
    chance = budget.generator(2)
    for form in ((3, 3, 3, 2, 2), (2, 4, 1, 3, 2)):
        clips = torch.rand(form, generator=chance)
        wanted = _round(_round(clips))
        B, T = form[:2]
        between = _Filler.fill(neighbours(clips))
        usual = {
            "the frames were doubled once: the same stage is to be used twice": _round(clips),
            "the frames were doubled three times: wanted four times as many": _round(_round(_round(clips))),
            "given frames were drawn over: what was drawn stands in their places, too, and they are to stay": _round(
                _round(clips, "over"), "over"
            ),
            "given frames were drawn over in the second round: those of the first are given then, and stay": _round(
                _round(clips), "over"
            ),
            "given frames were drawn over by the mean of those beside them: they are to stay as they are": _round(
                _round(clips, "smoothed"), "smoothed"
            ),
            "the new frames stand before those that they belong to: gap t lies behind frame t": _round(
                _round(clips, "before"), "before"
            ),
            "the new frames stand at the end of the clip: each is to stand behind its frame": _round(
                _round(clips, "end"), "end"
            ),
            "before and after are exchanged in what is shown to draw": _round(_round(clips, "exchanged"), "exchanged"),
            "draw was shown the frame before the gap and the one before that: use neighbours": _round(
                _round(clips, "earlier"), "earlier"
            ),
            "draw was shown the first frame behind the last: a clip is no circle, use neighbours": _round(
                _round(clips, "circle"), "circle"
            ),
            "what draw gave was cut to [0, 1]: put it in as it is": _round(_round(clips, "cut"), "cut"),
            "the first new frames were put in three times: the second round is to draw in the finer gaps": (
                torch.stack([clips, between, between, between], dim=2).flatten(1, 2)
            ),
            "each frame stands twice in the end: the second round is to be drawn, too": _round(clips).repeat_interleave(
                2, dim=1
            ),
            "frames are not in their order: stack the new ones in a dimension behind time, and fold it into time": (
                torch.stack([_round(clips), _Filler.fill(neighbours(_round(clips)))], dim=1).reshape(
                    B, 4 * T, *form[2:]
                )
            ),
        }
        stage = _Filler()
        got = answer(stage, clips)
        holds(len(stage.shown) > 0, "draw was not used.")
        same(
            got,
            wanted,
            usual={words: value for words, value in usual.items() if not _alike(value, wanted)},
            look="neighbours, draw, and put together as my_interleaved does; and all of it once more",
        )
        holds(len(stage.shown) == 2, f"draw was used {len(stage.shown)} times: twice is enough.")


def _blocks(clips: Tensor) -> Tensor:
    return clips.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


def _lines(clips: Tensor) -> Tensor:
    return F.interpolate(clips.flatten(0, 1), scale_factor=2, mode="bilinear").unflatten(0, clips.shape[:2])


def _true(answer: object) -> None:
    chance = budget.generator(3)
    for B, T, C, H, W in ((3, 3, 3, 3, 3), (2, 4, 1, 2, 5)):
        drawn = torch.rand(B, T, C, 2 * H, 2 * W, generator=chance)
        below = torch.rand(B, T, C, H, W, generator=chance)
        mean = F.avg_pool2d(drawn.flatten(0, 1), 2).unflatten(0, (B, T))
        wanted = drawn + _blocks(below - mean)
        corner = drawn[..., ::2, ::2]
        once = drawn.clone()
        once[..., ::2, ::2] += 4 * (below - mean)
        usual = {
            "the difference has the wrong sign: what is missing is below minus the mean": drawn + _blocks(mean - below),
            "the drawn clip is lost: this is the clip below, enlarged": _blocks(below),
            "the difference was spread by straight lines between pixels: then the means of blocks are not exact": (
                drawn + _lines(below - mean)
            ),
            "the difference was taken from one pixel of each block: take the mean of all four": drawn
            + _blocks(below - corner),
            "the difference was divided by 4: each of the four pixels moves by all of it, and so does their mean": (
                drawn + _blocks(below - mean) / 4
            ),
            "the difference was multiplied by 4: each of the four pixels moves by it once": drawn
            + 4 * _blocks(below - mean),
            "one pixel of each block bears all of it: move all four by the same amount": once,
            "pixels were multiplied: add the same amount to each of the four": drawn * _blocks(below / mean),
            "the result was cut to [0, 1]: then the means of some blocks are not exact": wanted.clamp(0, 1),
            "the result was cut at 0: then the means of some blocks are not exact": wanted.clamp(min=0),
            "the result was cut at 1: then the means of some blocks are not exact": wanted.clamp(max=1),
            "the whole clip was repeated, and not each pixel: repeat_interleave, not repeat": drawn
            + (below - mean).repeat(1, 1, 1, 2, 2),
            "resize made the means, and it looks beyond the block: take the mean of its four pixels, F.avg_pool2d": (
                drawn + _blocks(below - resize(drawn, H, W))
            ),
            "resize spread what is missing, by straight lines and cut to [0, 1]: then the means of blocks are not "
            "exact": drawn + resize(below - mean, 2 * H, 2 * W),
            "the largest pixel of each block was taken: take the mean of all four": drawn
            + _blocks(below - F.max_pool2d(drawn.flatten(0, 1), 2).unflatten(0, (B, T))),
            "the four pixels of a block were added: take their mean": drawn + _blocks(below - 4 * mean),
            "the mean of the whole frame was put right, and not of each block": drawn
            + (below - mean).mean(dim=(-2, -1), keepdim=True),
            "nothing has changed": drawn,
            "half of the difference was put right": drawn + _blocks(below - mean) / 2,
        }
        got = answer(drawn, below)
        same(
            got,
            wanted,
            usual={words: value for words, value in usual.items() if not _alike(value, wanted)},
            look="the mean of each block, what is missing to the pixel below, and that to all four pixels",
            tolerance=1e-4,
        )


class _Line:
    """Three stages that can be computed by hand; they remember how they were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Tensor | None, object]] = []

    def stage(self, k: int) -> Callable[[Tensor | None, object], Tensor]:
        def draw(below: Tensor | None, words: object) -> Tensor:
            if k == 0:
                holds(below is None, "the first stage was given a clip: it is called with None.")
            else:
                holds(
                    isinstance(below, Tensor),
                    f"stage {k} was given {type(below).__name__}, wanted clips of the stage below.",
                )
            self.calls.append((k, below, words))
            return self.draw(k, below, words)

        return draw

    @staticmethod
    def draw(k: int, below: Tensor | None, words: object) -> Tensor:
        start = torch.full((2, 2), 0.4) if below is None else below
        return (0.8 - 0.1 * k) * start.sqrt() + (0.0, 0.3, 0.1, 0.2)[k] + 0.01 * _Line.said(words)

    @staticmethod
    def score(clips: Tensor, words: object) -> float:
        return float(clips.mean()) + 0.003 * _Line.said(words)

    @staticmethod
    def said(words: object) -> int:
        """Return a number that every caption changes, and their order too."""
        captions = words if isinstance(words, list | tuple) else [words]
        return sum(i * len(text) for i, text in enumerate(captions, start=1) if isinstance(text, str))


def _line(answer: object) -> None:
    chance = budget.generator(4)
    for number, words in (
        (3, ["a red circle moves left"]),
        (4, ["a blue cross stands still", "a green square moves up"]),
    ):
        line = _Line()
        real = [torch.rand(2, 2, generator=chance) for _ in range(number)]
        stages = [line.stage(k) for k in range(number)]
        drawn = [line.draw(0, None, words)]
        for k in range(1, number):
            drawn.append(line.draw(k, drawn[-1], words))
        score = line.score
        alone = [drawn[0]] + [line.draw(k, real[k - 1], words) for k in range(1, number)]
        mute, first_words = [drawn[0]], [drawn[0]]
        for k in range(1, number):
            mute.append(line.draw(k, mute[-1], [""]))
            first_words.append(line.draw(k, first_words[-1], words[:1]))
        base_to_all = [drawn[0]] + [line.draw(k, drawn[0], words) for k in range(1, number)]
        own = [drawn[0]] + [line.draw(k, real[k], words) for k in range(1, number)]
        from_alone = [drawn[0], line.draw(1, drawn[0], words)]
        for k in range(2, number):
            from_alone.append(line.draw(k, alone[k - 1], words))
        got = answer(stages, real, words, score)
        many = f" of {len(got)}" if isinstance(got, tuple | list) else ""
        holds(
            isinstance(got, tuple | list)
            and len(got) == 2
            and all(isinstance(one, tuple | list) or (isinstance(one, Tensor) and one.ndim == 1) for one in got),
            f"the result is a {type(got).__name__}{many}, wanted two lists of numbers: by itself, and in the line.",
        )
        holds(
            [len(one) for one in got] == [number, number],
            f"the lists have {len(got[0])} and {len(got[1])} numbers, wanted one for each of {number} stages.",
        )

        def scores(clips: list[Tensor], words: object = words, score: Callable = score) -> Tensor:
            return torch.tensor([score(one, words) for one in clips])

        lists = [torch.tensor([_number(value) for value in one]) for one in got]
        holds(
            not (_alike(lists[0], scores(drawn)) and _alike(lists[1], scores(alone))),
            "the two lists are exchanged: first by itself, given real clips.",
        )
        for name, came, wanted, usual in (
            (
                "by itself",
                lists[0],
                scores(alone),
                {
                    "by itself: each stage was given the drawn clip, and is to be given the real one": scores(drawn),
                    "by itself: each stage was given the real clip of its own kind, which is the answer: give it "
                    "the one of the stage below": scores(own),
                    "by itself: the real clips were scored, and no stage's work": scores([drawn[0], *real[1:]]),
                    "by itself: every stage was given the same real clip: stage k is to be given real[k - 1]": scores(
                        [drawn[0]] + [line.draw(k, real[0], words) for k in range(1, number)]
                    ),
                    "by itself: the words were told to the base alone: tell them to every stage": scores(
                        [drawn[0]] + [line.draw(k, real[k - 1], [""]) for k in range(1, number)]
                    ),
                    "by itself: a real clip was scored as the base's: the base is given nothing, so its drawn clip is "
                    "scored": scores([real[0], *alone[1:]]),
                },
            ),
            (
                "in the line",
                lists[1],
                scores(drawn),
                {
                    "in the line: each stage was given the real clip rather than the drawn one: nothing is told of "
                    "the line then": scores(alone),
                    "in the line: every stage was given the base's clip: give it the one of the stage right "
                    "below": scores(base_to_all),
                    "in the line: each stage was given what the stage below has drawn of a real clip: the line "
                    "starts with the base's clip, and goes on with its own": scores(from_alone),
                    "in the line: the words were told to the base alone: tell them to every stage": scores(mute),
                    "in the line: the first caption alone was told to the stages: words has one for each clip": scores(
                        first_words
                    ),
                    "in the line: the first caption alone was told to score: words has one for each clip": torch.cat(
                        [scores(drawn[:1]), scores(drawn[1:], words[:1])]
                    ),
                    "in the line: the real clips were scored, and no stage's work": scores([drawn[0], *real[1:]]),
                },
            ),
        ):
            same(
                came,
                wanted,
                what=f"the scores {name}",
                usual={words_: value for words_, value in usual.items() if not _alike(value, wanted)},
                look="by itself stage k is given real[k - 1], in the line what stage k - 1 has drawn",
                tolerance=1e-4,
            )
        bases = sum(k == 0 for k, _, _ in line.calls)
        holds(bases == 1, f"the first stage was called {bases} times: it is drawn once, for both lists.")
        holds(
            len(line.calls) == 2 * number - 1,
            f"the stages were called {len(line.calls)} times: {2 * number - 1} calls are enough.",
        )


def _number(value: object) -> float:
    """Return a score as a number, whether it is Python's, NumPy's or a tensor's."""
    if isinstance(value, Tensor | np.generic) and value.ndim == 0:
        value = value.item()
    holds(
        isinstance(value, Real) and not isinstance(value, bool),
        f"a score is a {type(value).__name__}, wanted a number: what score returns.",
    )
    return float(value)


EXERCISES = (
    Exercise(
        "10-neighbours",
        _neighbours,
        "each gap sees the frame before and the frame after, and the last frame stands twice",
        (
            "You need the clips twice: as they are, and one frame later.",
            "`clips[:, 1:]` is one frame later and one frame short: which frame is missing, and where?",
            "`after = torch.cat([clips[:, 1:], clips[:, -1:]], dim=1)`, and both on the channels: `dim=2`.",
        ),
        neighbours,
    ),
    Exercise(
        "10-noise",
        _noise,
        "a level for each clip, noise for each pixel, and the level is told",
        (
            "Three steps: a level for each clip, the noise over it, both returned.",
            "`max_level * torch.rand(len(clips), generator=generator)` are the levels, (B,). Clips in [-1, 1] are "
            "`2 * clips - 1`.",
            "With `share = level[:, None, None, None, None]`: `(1 - share) * (2 * clips - 1) + share * noise`, where "
            "the noise is `torch.randn(clips.shape, generator=generator)`; and `level[:, None]` is (B, 1).",
        ),
    ),
    Exercise(
        "10-double",
        _double,
        "four times as many frames, and every frame that was there is there still",
        (
            "Write it for one doubling first; then let the result be the clip of the next round.",
            "`between = draw(neighbours(clips))` has a frame for each gap; it belongs *behind* the frame of the same "
            "number.",
            "`clips = torch.stack([clips, between], dim=2).flatten(1, 2)`, in a loop of two rounds.",
        ),
    ),
    Exercise(
        "10-true",
        _true,
        "shrunk again it is the clip below, to the last digit",
        (
            "How far is the mean of a block from the pixel below? And if all four pixels move by that, what does their "
            "mean do?",
            "`F.avg_pool2d` takes four dimensions: `drawn.flatten(0, 1)` and back with `.unflatten(0, ...)`. Blocks of "
            "2 x 2 are made by `repeat_interleave(2, dim=-2)` and the same along -1.",
            "`missing = below - mean`, and `drawn + missing.repeat_interleave(2, dim=-2).repeat_interleave(2, "
            "dim=-1)`.",
        ),
    ),
    Exercise(
        "10-line",
        _line,
        "each stage by itself and in the line, which is where it has to work",
        (
            "Two values go through the loop: the clips of the line, which each stage replaces, and nothing at all for "
            "the stages by themselves.",
            "Stage k by itself: `stages[k](real[k - 1], words)`. In the line: `stages[k]` of what came out of stage "
            "k - 1 in the line.",
            "Begin with `clips = stages[0](None, words)` and its score in both lists; then `for stage, truth in "
            "zip(stages[1:], real[:-1])`, score `stage(truth, words)`, and let `clips = stage(clips, words)`.",
        ),
    ),
)
