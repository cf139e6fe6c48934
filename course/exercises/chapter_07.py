"""The exercises of chapter 07: to spread, to modulate, to leave out, where a piece may begin, and whose look it is."""

from numbers import Integral

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from course import budget
from course.exercises.checking import Exercise, WrongAnswerError, close, holds, same
from course.layers.conditioning import over_frames


def _differing(usual: dict[str, Tensor], wanted: Tensor) -> dict[str, Tensor]:
    """Keep the mistakes that show in a case: some give the right answer by chance."""
    return {
        words: tensor
        for words, tensor in usual.items()
        if tensor.shape != wanted.shape or not torch.allclose(tensor, wanted, atol=1e-4)
    }


def _spread(answer: object) -> None:
    generator = budget.generator(0)
    for B, T, C, H, W, D in ((3, 3, 2, 4, 5, 4), (2, 5, 3, 2, 2, 3), (4, 4, 1, 4, 4, 4), (1, 2, 1, 3, 2, 6)):
        x, context = torch.rand(B, T, C, H, W, generator=generator), torch.rand(B, D, generator=generator)
        wanted = over_frames(context, x).clone()
        first = torch.zeros_like(wanted)
        first[:, 0] = wanted[:, 0]
        mixed = context.repeat(T, 1).view(B, T, D)[..., None, None].expand_as(wanted)
        usual = {
            "the vectors of the batch were laid end to end and cut into rows, so that a clip got those of others: "
            "give the context a dimension for time instead": mixed,
            "only the first frame was told: a context belongs to every frame of its clip": first,
            "every clip was told the mean of all contexts: each gets its own": context.mean(0)[
                None, None, :, None, None
            ].expand_as(wanted),
            "every clip was told the first clip's context: each gets its own": context[0][
                None, None, :, None, None
            ].expand_as(wanted),
            "x came back as well: return the spread context alone": torch.cat([x, wanted], dim=2),
            "the context was multiplied into x: return the spread context alone": wanted * x.mean(2, keepdim=True),
            "the numbers of the context became the second dimension: time comes second, channels third": (
                wanted.transpose(1, 2)
            ),
            "the dimension of time is missing: there is to be one copy for each frame": wanted[:, 0],
        }
        if B == T:
            over_time = context[None, :, :, None, None].expand(B, -1, -1, H, W)
            words = (
                "frame t of every clip got the context of clip t: B and T are the same number here, so the shape "
                "cannot tell; spread each context over the frames of its own clip"
            )
            usual = {words: over_time} | usual
        context.requires_grad_()
        got = answer(context, x)
        same(
            got,
            wanted,
            what=f"with {B} clips of {T} frames the result",
            usual=_differing(usual, wanted),
            look="which of (B, T, D, H, W) does the context have already?",
        )
        holds(got.requires_grad, "no gradient comes to the context: was it detached, or copied as numbers?")


def _normal(x: Tensor, num_groups: int) -> Tensor:
    return F.group_norm(x.flatten(0, 1), num_groups).view_as(x)


def _norm(answer: object) -> None:
    generator = budget.generator(1)
    for B, T, C, size, D, groups in ((3, 3, 4, 3, 5, 2), (2, 4, 6, 2, 3, 3), (2, 3, 8, 2, 3, 2)):
        x = 2 + 3 * torch.randn(B, T, C, size, size, generator=generator)
        x *= 1 + torch.arange(T).view(1, T, 1, 1, 1)  # frames of unlike brightness, so that it shows who is normalised
        context = torch.randn(B, D, generator=generator)
        weight, bias = torch.randn(2 * C, D, generator=generator), torch.randn(2 * C, generator=generator)

        def told(numbers: Tensor, x: Tensor = x) -> Tensor:
            return over_frames(numbers, x)

        scale, shift = F.linear(context, weight, bias).chunk(2, dim=-1)
        bare_scale, bare_shift = F.linear(context, weight).chunk(2, dim=-1)
        even, odd = F.linear(context, weight, bias).unflatten(1, (C, 2)).unbind(-1)
        normal = _normal(x, groups)
        wanted = normal * (1 + told(scale)) + told(shift)
        together = F.group_norm(x.transpose(1, 2), groups).transpose(1, 2)
        usual = {
            "the channels were multiplied by the scale itself: it is added to 1, so that a 0 changes nothing": (
                normal * told(scale) + told(shift)
            ),
            "scale and shift are exchanged: the first C numbers are the scale": (
                normal * (1 + told(shift)) + told(scale)
            ),
            "scale and shift were taken in turns: the first C numbers are the scale, the others the shift": (
                normal * (1 + told(even)) + told(odd)
            ),
            "all frames of a clip were normalised together, so that each knows how bright the others are: "
            "one frame at a time": together * (1 + told(scale)) + told(shift),
            "x was modulated first and then normalised, which takes most of it back: normalise first": _normal(
                x * (1 + told(scale)) + told(shift), groups
            ),
            "x was not normalised": x * (1 + told(scale)) + told(shift),
            "the bias was left out": normal * (1 + told(bare_scale)) + told(bare_shift),
            "the shift was left out": normal * (1 + told(scale)),
            "the scale was left out": normal + told(shift),
            "all channels were normalised as one group": _normal(x, 1) * (1 + told(scale)) + told(shift),
            "each channel was normalised by itself: in groups of C / num_groups": (
                _normal(x, C) * (1 + told(scale)) + told(shift)
            ),
            "the context changed nothing: this is the group norm alone": normal,
            "the shift was added before the factor": (normal + told(shift)) * (1 + told(scale)),
        }
        if B == T:
            usual["frame t of every clip was modulated with the context of clip t: spread over frames, not clips"] = (
                normal * (1 + scale[None, :, :, None, None]) + shift[None, :, :, None, None]
            )
        parts = [part.requires_grad_() for part in (context, weight, bias)]
        got = answer(x, *parts, groups)
        same(
            got,
            wanted.detach(),
            usual=_differing(usual, wanted),
            look="F.linear, F.group_norm on (B * T, C, H, W), then a factor 1 + scale and a shift",
            tolerance=1e-4,
        )
        gradients = torch.autograd.grad(got.sum(), parts, allow_unused=True) if got.requires_grad else [None] * 3
        for name, gradient in zip(("context", "weight", "bias"), gradients, strict=True):
            holds(gradient is not None, f"no gradient comes to {name}: was it detached?")


def _is(one: Tensor, other: Tensor) -> Tensor:
    return torch.isclose(one, other, atol=1e-5).all(dim=2)


def _dropout(answer: object) -> None:
    chance = budget.generator(2)
    B, M, D = 400, 3, 5
    context, null = torch.randn(B, M, D, generator=chance), torch.randn(D, generator=chance)
    context.requires_grad_()
    null.requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = answer(context, null, 0.2, budget.generator(0))
        torch.manual_seed(2)
        again = answer(context, null, 0.2, budget.generator(0))
        other = answer(context, null, 0.2, budget.generator(1))
    holds(isinstance(first, Tensor), f"the result is a {type(first).__name__}, wanted a tensor {(B, M, D)}.")
    holds(first.shape == context.shape, f"the result has shape {tuple(first.shape)}, wanted {(B, M, D)}.")
    zero = (first == 0).all(dim=2)
    if zero.any():
        raise WrongAnswerError(
            "contexts were replaced by zeros: the null vector is to stand in, since it can be learned."
        )
    kept, left = _is(first, context), _is(first, null)  # (B, M) each
    holds(
        not (torch.isclose(first, context / 0.8).all(dim=2) & ~kept).any(),
        "what is kept was made larger, as nn.Dropout does: here a context is kept as it is, or replaced.",
    )
    holds(
        bool((kept | left).all()),
        "some vectors are neither the context's nor the null vector: replace a whole context, or none of it.",
    )
    others = [_is(answer(context, null, 0.2, budget.generator(seed)), null) for seed in range(10, 30)]
    holds(
        {left.float().mean().item(), *(other.float().mean().item() for other in others)} != {0.0, 1.0},
        "all clips go without, or none: toss a coin for each clip, not one for the batch.",
    )
    holds(not kept.all(), "no context was ever left out: with a share of 20% one clip in five goes without.")
    holds(
        bool((kept.all(dim=1) | left.all(dim=1)).all()),
        "a clip lost some of its vectors and kept others: toss one coin for each clip, not for each vector.",
    )
    rate = left.all(dim=1).float().mean().item()
    holds(rate < 1, "every clip was left out: the batch has one coin for each clip, and a share of 20%.")
    holds(
        torch.equal(first, again),
        "the same generator gave another result: take chance from the generator alone, torch.rand(..., generator=...).",
    )
    holds(not torch.equal(first, other), "another generator gave the same result: was it used?")
    chance = budget.generator(2)
    holds(
        not torch.equal(answer(context, null, 0.2, chance), answer(context, null, 0.2, chance)),
        "two calls with one generator gave the same coins: draw from it, and do not begin it anew.",
    )
    four = [_is(answer(context[:4], null, 0.5, budget.generator(seed)), null).all(dim=1) for seed in range(20)]
    holds(
        len({int(each.sum()) for each in four}) > 1,
        "of four clips always as many went without: chance decides for each clip by itself, not how many there are.",
    )
    holds(abs(rate - 0.8) > 0.1, f"{rate:.0%} went without where the share is 20%: the coin is the wrong way round.")
    holds(abs(rate - 0.2) < 0.07, f"{rate:.0%} went without where the share is 20%.")
    for share, tensor, words in ((0.0, context, "keep its context"), (1.0, null.expand(B, M, D), "go without")):
        got = answer(context, null, share, budget.generator(3))
        holds(torch.allclose(got, tensor, atol=1e-5), f"with a share of {share:g} every clip is to {words}.")
    holds(first.requires_grad, "no gradient comes to the null vector: was something detached?")
    gradients = torch.autograd.grad(first.sum(), [context, null], allow_unused=True)
    for name, gradient in zip(("the context", "the null vector"), gradients, strict=True):
        holds(gradient is not None, f"no gradient comes to {name}: was it detached, or made anew?")
    one = answer(context[:7].detach(), null.detach(), 0.5, budget.generator(4))
    holds(one.shape == (7, M, D), f"for 7 clips the result has shape {tuple(one.shape)}, wanted {(7, M, D)}.")


Case = tuple[int, int, int, int]


def _fits(start: int, case: Case) -> str:
    """Say what is wrong with a piece that begins at ``start``; nothing if it is fine."""
    num_frames, num_given, window, ahead = case
    first, last = start + window, start + window + ahead - 1  # of the frames to predict
    if start < 0:
        return f"there is no frame {start}"
    if last >= num_frames:
        return f"frame {last} would be predicted, and the last of {num_frames} frames is {num_frames - 1}"
    if first < num_given:
        return (
            f"frame {first} would be predicted, and is one of the {num_given} that the context is made of: "
            "a context that contains the answer"
        )
    return ""


def _starts(answer: object) -> None:
    for case in ((24, 4, 2, 4), (10, 4, 2, 3), (8, 3, 1, 2), (9, 2, 5, 1), (7, 4, 4, 2), (6, 5, 2, 3), (5, 0, 1, 4)):
        num_frames, num_given, window, ahead = case
        got = answer(*case)
        if isinstance(got, Tensor | np.ndarray):
            got = got.tolist()
        holds(
            isinstance(got, list | tuple | range),
            f"the result is of type {type(got).__name__}, wanted a list of starts.",
        )
        got = [int(s) if isinstance(s, Integral) and not isinstance(s, bool) else s for s in got]
        holds(
            all(isinstance(start, int) and not isinstance(start, bool) for start in got),
            f"the result holds something else than whole numbers: {got!r:.60}.",
        )
        told = f"with {num_frames} frames, {num_given} given, a window of {window} and {ahead} ahead"
        for start in got:
            fault = _fits(start, case)
            holds(not fault, f"{told}, start {start} is no start: {fault}.")
        holds(len(set(got)) == len(got), f"{told}, a start is there twice.")
        for start in range(num_frames):
            holds(
                start in got or bool(_fits(start, case)),
                f"{told}, start {start} is missing: it predicts frames {start + window} to "
                f"{start + window + ahead - 1}, which are there and were not given. The window itself may show given "
                "frames.",
            )
        holds(got == sorted(got), f"{told}, the starts are not in order.")


def _look_counts(shown: Tensor, visible: Tensor, own: Tensor, donor: Tensor) -> tuple[float, dict[str, float]]:
    """Return the share of clips that took the donor's look, and what the usual mistakes give."""
    match = shown == donor[:, None]  # (B, T, 2): colour, shape
    both = match.all(dim=2)
    seen = visible.any(dim=1)
    told = (own != donor).any(dim=1)
    took = (both | ~visible).all(dim=1) & seen

    def share(clips: Tensor, of: Tensor = told) -> float:
        return clips[of].float().mean().item()

    changed = match | (own == donor)[:, None]
    kept = ((shown == own[:, None]).all(dim=2) | ~visible).all(dim=1) & seen
    usual = {
        "clips whose own look is the donor's are counted too: there is nothing to hand over": share(
            took, torch.ones_like(told)
        ),
        "divided by all clips: only those whose look differs from the donor's can take it over": (
            (took & told).float().mean().item()
        ),
        "only the colour was compared": share((match[..., 0] | ~visible).all(dim=1) & seen),
        "only the shape was compared": share((match[..., 1] | ~visible).all(dim=1) & seen),
        "one frame with the donor's look was enough: every frame in which the sprite is seen must have it": share(
            (both & visible).any(dim=1)
        ),
        "frames were counted, not clips": both[told][visible[told]].float().mean().item(),
        "hidden frames were asked too: what is read there means nothing": share(both.all(dim=1)),
        "a clip that never shows a sprite was counted: it has handed over nothing": share((both | ~visible).all(dim=1)),
        "these are the clips that kept their own look": share(kept),
        "only clips that differ from the donor in colour and in shape are counted: one of the two is enough": share(
            took, (own != donor).all(dim=1)
        ),
        "colour or shape was enough: a look is both": share((match.any(dim=2) | ~visible).all(dim=1) & seen),
        "what the clip and the donor have in common must be shown, too": share(
            (changed.all(dim=2) | ~visible).all(dim=1) & seen
        ),
        "clips that never show a sprite were left out of what is divided by: they count, and took nothing": share(
            took, told & seen
        ),
        "only the clips whose colour differs were counted: a look is another if one of the two is": share(
            took, own[:, 0] != donor[:, 0]
        ),
        "only the clips whose shape differs were counted: a look is another if one of the two is": share(
            took, own[:, 1] != donor[:, 1]
        ),
        "this is the number of clips, wanted their share": float((took & told).sum().item()),
        "this is the share that did not take the donor's look": 1 - share(took),
    }
    return share(took), usual


def _handover(answer: object) -> None:
    generator = budget.generator(2)  # one of those with which no two mistakes give the same number
    for B, T in ((90, 5), (120, 3)):
        own = torch.randint(3, (B, 2), generator=generator)
        donor = torch.randint(3, (B, 2), generator=generator)
        visible = torch.rand(B, T, generator=generator) < 0.6
        visible[::9] = False
        # Some take the donor's look, some its colour or its shape alone, some nothing; a few change on the way.
        kind = torch.randint(5, (B,), generator=generator)
        look = torch.where(kind[:, None] >= 2, donor, own)
        look[kind == 0, 0], look[kind == 1, 1] = donor[kind == 0, 0], donor[kind == 1, 1]
        shown = look[:, None].repeat(1, T, 1)
        shown[kind == 4, -1] = own[kind == 4]
        third = torch.rand(B, generator=generator) < 0.25  # what the look has in common with the donor's is lost
        shown[third] = torch.where((own == donor)[third][:, None], (shown[third] + 1) % 3, shown[third])
        shown[~visible] = torch.randint(3, (int((~visible).sum()), 2), generator=generator)
        wanted, usual = _look_counts(shown, visible, own, donor)
        close(
            answer(shown, visible, own, donor),
            wanted,
            usual={words: value for words, value in usual.items() if abs(value - wanted) > 1e-3},
            look="first the clips whose look differs from the donor's; of these, those that show the donor's in every "
            "visible frame",
        )


EXERCISES = (
    Exercise(
        "07-spread",
        _spread,
        "every frame hears of its own clip, and of no other",
        (
            "The context has B and D. What is missing are T, between them, and H and W behind them.",
            "A dimension is put in by indexing with None: where does time stand in (B, T, D, H, W)?",
            "`context[:, None, :, None, None].expand(-1, T, -1, H, W)`, with T, H and W from x.",
        ),
        over_frames,
    ),
    Exercise(
        "07-norm",
        _norm,
        "each frame is normalised by itself, and the context of its clip sets what follows",
        (
            "Three steps: 2C numbers from the context, the norm of the frames, and the modulation, in that order.",
            "`F.linear(context, weight, bias)` is (B, 2C): the first C are the scale. Group norm wants (N, C, H, W): "
            "what is N, if each frame is to be normalised by itself?",
            "`F.group_norm(x.flatten(0, 1), num_groups).view_as(x)`, times 1 + scale, plus shift; both as "
            "`[:, None, :, None, None]`.",
        ),
    ),
    Exercise(
        "07-dropout",
        _dropout,
        "one coin for each clip, and a vector that learns stands in",
        (
            "How many coins are there? As many as clips. What is replaced when one falls? All M vectors of that clip.",
            "`torch.rand(B, 1, 1, generator=generator)` is one number for each clip that fits to its M vectors.",
            "Where it is below `share`, the null vector: `torch.where(coin, null, context)`.",
        ),
    ),
    Exercise(
        "07-starts",
        _starts,
        "no answer is among what the context is made of",
        (
            "Draw 10 frames in a row. Mark the 4 that are given, then lay a piece of 2 + 3 frames on them: how far to "
            "the left may it lie?",
            "Start s predicts frames s + window to s + window + ahead - 1: the first must be num_given or later, the "
            "last at most num_frames - 1. And s is at least 0.",
            "`list(range(max(0, num_given - window), num_frames - window - ahead + 1))`.",
        ),
    ),
    Exercise(
        "07-handover",
        _handover,
        "the donor's look in every frame that shows one, counted where it can be told from the clip's own",
        (
            "Which clips can show that a look was handed over? Not those that had it before.",
            "For each frame: are colour and shape the donor's? A hidden frame has no say. Then: all its frames.",
            "`took = ((shown == donor[:, None]).all(2) | ~visible).all(1) & visible.any(1)`, and its mean over the "
            "clips with `(own != donor).any(1)`.",
        ),
    ),
)
