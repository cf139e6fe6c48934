"""The exercises of chapter 06: a rollout, what counts in a loss, a coin, a leak, and what drawing costs."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from course import budget
from course.exercises.checking import Exercise, WrongAnswerError, close, holds, same
from course.generation.rollout import rollout


def _speeding(frames: Tensor) -> Tensor:
    """Go on as between the last two frames, and a little faster: needs two frames, and leaves [0, 1]."""
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    count = torch.arange(1, frames.shape[1] + 1).reshape(1, -1, 1, 1, 1)
    return frames + 1.3 * (frames - before) + 0.02 * count


def _rest(answer: object) -> None:
    generator = budget.generator(0)
    for num_context, num_frames in ((3, 8), (1, 5), (5, 6)):
        clips = torch.rand(2, num_frames, 2, 3, 4, generator=generator)
        calls = []

        def step(frames: Tensor, calls: list[Tensor] = calls) -> Tensor:
            calls.append(frames.clone())
            return _speeding(frames)

        horizon = num_frames - num_context
        context = clips[:, :num_context]
        wanted = rollout(_speeding, context, horizon)
        by_truth = _speeding(clips[:, :-1])[:, num_context - 1 :]
        unclamped, alone, late, free, fed_back = context, context, context, context[:, :0], context
        for _ in range(horizon):
            unclamped = torch.cat([unclamped, _speeding(unclamped)[:, -1:]], dim=1)
            alone = torch.cat([alone, _speeding(alone[:, -1:]).clamp(0, 1)], dim=1)
            late = torch.cat([late, _speeding(late)[:, -1:]], dim=1)
            free = torch.cat([free, _speeding(fed_back)[:, -1:]], dim=1)
            fed_back = torch.cat([fed_back, free[:, -1:].clamp(0, 1)], dim=1)
        usual = {
            "the whole clip came back: return the predicted frames alone": torch.cat([context, wanted], dim=1),
            "these are the true frames: nothing was predicted": clips[:, num_context:],
            "the last frame given was copied": context[:, -1:].expand_as(wanted),
            "one prediction is repeated: feed it back, and predict the next from it": wanted[:, :1].expand_as(wanted),
            "one frame is missing: T - num_context are to be predicted": wanted[:, :-1],
            "the predictions come out in reverse": wanted.flip(1),
            "step was given the last frame alone: hand it all frames so far": alone[:, num_context:],
            "guesses were not clamped to [0, 1]": unclamped[:, num_context:],
            "guesses were fed back clamped, but returned as they were: return the clamped ones": free,
            "guesses were clamped at the end: clamp each before you feed it back": late[:, num_context:].clamp(0, 1),
        }
        if horizon > 1:  # the first prediction is the same, fed with the truth or not
            fed = "this rollout was fed with the truth: after the context use your own predictions"
            usual |= {fed: by_truth.clamp(0, 1), f"{fed} (and clamp them)": by_truth}
        got = answer(step, clips, num_context)
        same(
            got,
            wanted,
            what=f"with {num_context} frames given of {num_frames} the result",
            usual={words: tensor for words, tensor in usual.items() if not _alike(tensor, wanted)},
            look="append each guess to the frames, and hand all of them to step again",
        )
        after = [frames[:, num_context:] for frames in calls if frames.shape[1] > num_context]
        holds(
            all(_own(clip, wanted) for fed in after for clip in fed),
            "step was shown true frames from after the context (or places still empty): hand it the frames so far, and "
            "no more.",
        )


def _own(clip: Tensor, wanted: Tensor) -> bool:
    return any(_alike(clip, own[: len(clip)]) for own in wanted)  # clip by clip is right, too


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5)


def _loss(answer: object) -> None:
    generator = budget.generator(7)
    for num_context, num_frames in ((3, 7), (1, 4), (5, 6)):
        clips = torch.rand(3, num_frames, 2, 4, 5, generator=generator)
        outputs = (2 * torch.rand(3, num_frames - 1, 2, 4, 5, generator=generator) - 0.5).requires_grad_()
        squares = (outputs - clips[:, 1:]).square()  # output t predicts frame t + 1
        asked = squares[:, num_context - 1 :]
        unshifted = (outputs - clips[:, :-1]).square()
        usual = {
            "the given frames are counted too": squares.mean(),
            "output t was compared with frame t, which it has seen: it predicts frame t + 1": unshifted[
                :, num_context - 1 :
            ].mean(),
            "output t was compared with frame t, and given frames are counted too": unshifted.mean(),
            "the squares were summed: take their mean": asked.sum(),
            "these are absolute differences: square them": (outputs - clips[:, 1:])[:, num_context - 1 :].abs().mean(),
            "the root is too much: the mean squared error has none": asked.mean().sqrt(),
            "only the last frame is counted": asked[:, -1].mean(),
            "only the context is counted: it is given, the others are to be predicted": squares[
                :, : num_context - 1
            ].mean(),
            "the squares of a frame were summed: here the mean is over all numbers": asked.sum(dim=(2, 3, 4)).mean(),
            "this is half of it: the mean squared error has no factor": asked.mean() / 2,
            "divided by the number of clips alone: take the mean over all numbers": asked.sum() / 3,
        }
        if num_frames - num_context > 1:
            usual["the first frame after the context is not counted: output num_context - 1 predicts it"] = squares[
                :, num_context:
            ].mean()
            usual["off by one: output t predicts frame t + 1"] = (
                (outputs[:, num_context:] - clips[:, num_context:-1]).square().mean()
            )
            usual["only the first frame after the context is counted"] = asked[:, 0].mean()
        got = answer(outputs, clips, num_context)
        close(
            got,
            asked.mean().item(),
            usual={w: v.item() for w, v in usual.items() if abs(v.item() - asked.mean().item()) > 1e-3},
            look="which output predicts frame num_context, the first that was not given?",
        )
        holds(isinstance(got, Tensor), "a plain number came back: a loss must be a tensor, or nothing learns from it.")
        holds(got.requires_grad, "no gradient comes from the loss to the outputs: was something detached?")
        (due,) = torch.autograd.grad(asked.mean(), outputs, retain_graph=True)
        (came,) = torch.autograd.grad(got.sum(), outputs, allow_unused=True)
        holds(
            came is not None and torch.allclose(came, due, rtol=1e-3, atol=1e-7),
            "the number is right, and another gradient comes to the outputs: was something detached, or a tensor made "
            "anew from numbers?",
        )


def _coin(answer: object) -> None:
    true, predicted = torch.rand(400, 2, 3, 3), torch.rand(400, 2, 3, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = answer(true, predicted, 0.3, budget.generator(0))
        torch.manual_seed(2)
        again = answer(true, predicted, 0.3, budget.generator(0))
        other = answer(true, predicted, 0.3, budget.generator(1))
    holds(isinstance(first, Tensor), f"the result is a {type(first).__name__}, wanted a tensor (400, 2, 3, 3).")
    holds(first.shape == true.shape, f"the result has shape {tuple(first.shape)}, wanted {tuple(true.shape)}.")
    if torch.allclose(first, 0.3 * true + 0.7 * predicted, atol=1e-5):
        raise WrongAnswerError("the two frames were blended, a ghost that is neither: choose one of them.")
    if torch.allclose(first, 0.7 * true + 0.3 * predicted, atol=1e-5):
        raise WrongAnswerError("the two frames were blended, and the wrong way round: choose one of them.")
    came = first == true
    holds(bool((came | (first == predicted)).all()), "some pixels are neither the true nor the predicted ones.")
    whole = came.flatten(1).all(dim=1) | ~came.flatten(1).any(dim=1)
    holds(
        bool(whole.all()),
        "a frame is partly true and partly predicted: toss one coin for each clip, and take the whole frame.",
    )
    rate = came.flatten(1).all(dim=1).float().mean().item()
    holds(rate not in (0.0, 1.0), "all clips of the batch got the same: each has a coin of its own.")
    holds(
        torch.equal(first, again),
        "the same generator gave another result: take chance from the generator alone, torch.rand(..., generator=...).",
    )
    holds(not torch.equal(first, other), "another generator gave the same result: was it used?")
    chance = budget.generator(2)
    holds(
        not torch.equal(answer(true, predicted, 0.3, chance), answer(true, predicted, 0.3, chance)),
        "two calls with one generator gave the same coins: draw from it, and do not begin it anew.",
    )
    four = [(answer(true[:4], predicted[:4], 0.5, budget.generator(seed)) == true[:4]) for seed in range(20)]
    holds(
        len({int(each.flatten(1).all(dim=1).sum()) for each in four}) > 1,
        "of four clips always as many were true: chance decides for each clip by itself, and not how many there are.",
    )
    holds(abs(rate - 0.7) > 0.1, f"{rate:.0%} are true frames where the share is 30%: the coin is the wrong way round.")
    holds(abs(rate - 0.3) < 0.1, f"{rate:.0%} are true frames where the share is 30%.")
    for share, frame, words in ((1.0, true, "true"), (0.0, predicted, "predicted")):
        got = answer(true, predicted, share, budget.generator(3))
        holds(torch.equal(got, frame), f"with a share of {share:g} every frame must be the {words} one.")
    holds(
        abs((answer(true, predicted, 0.9, budget.generator(4)) == true).float().mean().item() - 0.9) < 0.1,
        "with a share of 90% not nine in ten are true frames.",
    )


Predict = Callable[[Tensor, int], Tensor]


def _copy(clips: Tensor, num_context: int) -> Tensor:
    return clips[:, num_context - 1 : num_context].expand(-1, clips.shape[1] - num_context, -1, -1, -1).clone()


def _sly(when: Callable[[Tensor, int], Tensor], frame: int = 0, clip: int = 0) -> Predict:
    """Copy the last frame given, and add a little of what ``when`` takes from the true future to one frame."""

    def predict(clips: Tensor, num_context: int) -> Tensor:
        result = _copy(clips, num_context)
        result[clip, frame] += 1e-3 * when(clips, num_context)[clip]
        return result

    return predict


def _honest(name: str) -> Predict:
    return {
        "copies the last frame": _copy,
        "rolls out": lambda clips, n: rollout(_speeding, clips[:, :n], clips.shape[1] - n),
        "gives the mean of the context": lambda clips, n: clips[:, :n].mean(1, keepdim=True).expand_as(clips[:, n:]),
        "gives black frames": lambda clips, n: torch.zeros_like(clips[:, n:]),
        "looks at the number of frames to come": lambda clips, n: _copy(clips, n) / clips.shape[1],
    }[name]


_SLY = "moves light about within a frame"


def _turned(future: Tensor) -> Tensor:
    whole = (future * 64).round() / 64  # in steps, so that each frame's sum is left exactly as it was
    return whole - whole.flip(-1)


LEAKS: dict[str, Predict] = {
    "gives the true future": lambda clips, n: clips[:, n:].clone(),
    "is a rollout fed with the truth": lambda clips, n: _speeding(clips[:, :-1])[:, n - 1 :].clamp(0, 1),
    "looks at the first frame of the future": _sly(lambda clips, n: clips[:, n]),
    "looks at the last frame of the future": _sly(lambda clips, n: clips[:, -1]),
    "looks at one frame in the middle, and changes its last prediction": _sly(lambda clips, n: clips[:, n + 1], -1),
    "looks at the future of the second clip alone": _sly(lambda clips, n: clips[:, -2], 1, 1),
    _SLY: lambda clips, n: _copy(clips, n) + _turned(clips[:, n:]),
    "looks at one pixel": _sly(lambda clips, n: clips[:, n, :1, :1, :1]),
}


def _leak(answer: object) -> None:
    clips = (64 * torch.rand(2, 8, 1, 4, 4, generator=budget.generator(5))).round() / 64
    dark, bright = clips.clone(), clips.clone()
    dark[:, 3:], bright[:, 3:] = 0.0, 1.0
    still = clips[:, 2:3].expand(-1, 8, -1, -1, -1).clone()  # nothing moves: any order of its frames is the same
    grey = clips.clone()
    grey[:, 3:] = 0.5
    kinds = {"": clips, ", in clips with a black future": dark, ", in clips with a white future": bright}
    kinds |= {", in clips with a grey future": grey, ", in clips in which nothing moves": still}
    cases = [(words, given, 3) for words, given in kinds.items()]
    for where, given, num_context in [*cases, (", with five frames given", clips, 5)]:
        for name in (
            "rolls out",
            "copies the last frame",
            "gives the mean of the context",
            "gives black frames",
            "looks at the number of frames to come",
        ):
            got = _said(answer(_honest(name), given, num_context))
            holds(
                not got,
                f"a predictor that {name} is honest, and was called a leak{where}: does your test leave the context, "
                "and the number of frames, as they are?",
            )
        for name, predict in LEAKS.items():
            if where and name == _SLY:
                continue  # in these clips it may leave every frame as it was
            got = _said(answer(predict, given, num_context))
            holds(got, f"a predictor that {name} was let through{where}.")


def _said(got: object) -> bool:
    if isinstance(got, Tensor) and got.numel() == 1:
        got = bool(got)
    if isinstance(got, np.bool_):
        got = bool(got)
    if not isinstance(got, bool):
        raise WrongAnswerError(f"the result is a {type(got).__name__}, wanted True or False.")
    return got


def _price(answer: object) -> None:
    generator = budget.generator(6)
    cases = [
        (torch.rand(3, 2, 1, 2, 2, generator=generator), torch.tensor([0.5, 0.3, 0.2])),
        (torch.tensor([[0.0], [1.0]]), torch.tensor([0.25, 0.75])),
        (torch.rand(2, 4, 3, generator=generator), torch.tensor([0.9, 0.1])),
        (torch.rand(4, 5, generator=generator), torch.tensor([0.1, 0.2, 0.3, 0.4])),
        (torch.rand(1, 5, generator=generator), torch.tensor([1.0])),
    ]
    for futures, p in cases:
        flat = futures.flatten(1)
        apart = (flat[:, None] - flat).square().sum(dim=2)
        mean, even = p @ flat, flat.mean(dim=0)
        of_mean, of_draw = (p @ (flat - mean).square().sum(dim=1)).item(), (p @ apart @ p).item()
        got = answer(futures.clone(), p.clone())
        if isinstance(got, Tensor | np.ndarray) and got.shape == (2,):
            got = got.tolist()
        holds(
            isinstance(got, tuple | list) and len(got) == 2,
            f"the result is a {type(got).__name__}, wanted two numbers: the price of the mean and that of a draw.",
        )
        if len(p) > 1:
            first, second = (_number(value) for value in got)
            if abs(first - of_draw) < 1e-4 and abs(second - of_mean) < 1e-4:
                raise WrongAnswerError("the two prices are exchanged: the mean's comes first.")
        size = flat.shape[1]
        usual_mean = {
            "the mean leaves the probabilities out": (p @ (flat - even).square().sum(dim=1)).item(),
            "the futures that may come are not weighed by their probabilities": (flat - mean)
            .square()
            .sum(dim=1)
            .mean()
            .item(),
            "the squares were averaged over the numbers of a future: sum them": of_mean / size,
            "this is the price of a draw": of_draw,
        }
        usual_draw = {
            "what was drawn and what came are weighed alike: both by their probabilities": apart.mean().item(),
            "only one of the two is weighed: what is drawn by its probability, and what comes too": (
                p @ apart.mean(dim=1)
            ).item(),
            "the squares were averaged over the numbers of a future: sum them": of_draw / size,
            "the case that the drawn future is the one that comes was left out of the probabilities": of_draw
            / max(1e-9, 1 - (p @ p).item()),
            "this is the price of the mean: a draw is also away from the mean itself": of_mean,
            "drawn and come are the same one here: they are drawn apart": 0.0,
        }
        for value, wanted, what, usual in (
            (got[0], of_mean, "the price of the mean", usual_mean),
            (got[1], of_draw, "the price of a draw", usual_draw),
        ):
            close(
                value,
                wanted,
                what=what,
                usual={words: v for words, v in usual.items() if abs(v - wanted) > 1e-3},
                look="do futures 0 and 1 with probabilities 1/4 and 3/4 by hand",
                tolerance=1e-3,
            )


def _number(value: object) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")


EXERCISES = (
    Exercise(
        "06-rollout",
        _rest,
        "every frame after the context is your own",
        (
            "Which frames does step see when you predict the second one? Where does the first of them come from?",
            "Keep one tensor of frames: first the context, then one frame more after each call.",
            "`frames = torch.cat([frames, step(frames)[:, -1:].clamp(0, 1)], dim=1)`, until there are T of them.",
        ),
    ),
    Exercise(
        "06-loss",
        _loss,
        "what was given does not count, and each output meets the frame that it predicts",
        (
            "With two frames given of four there are three outputs. Which frames do they predict? Which count?",
            "Frames num_context and later are asked for; frame num_context is predicted by the output before it.",
            "Compare `outputs[:, num_context - 1 :]` with `clips[:, num_context:]`.",
        ),
    ),
    Exercise(
        "06-coin",
        _coin,
        "a coin for each clip, and whole frames",
        (
            "How many coins are there? As many as clips, not as pixels, and not one.",
            "`torch.rand(B, 1, 1, 1, generator=generator)` is one number for each clip that fits to the whole frame.",
            "Where it is below `share`, take the true frame: `torch.where(coin, true, predicted)`.",
        ),
    ),
    Exercise(
        "06-leak",
        _leak,
        "honest predictors pass, and no leak does",
        (
            "An honest prediction cannot change when only the frames after the context do.",
            "Change all of them, in every pixel, and by something that no clip happens to hold: black is no change to "
            "a black future. Then compare all predictions, exactly.",
            "A clone with `torch.rand(...)` for its frames from num_context on; then `not torch.equal(...)`.",
        ),
    ),
    Exercise(
        "06-price",
        _price,
        "and wherever you look, the second is twice the first",
        (
            "The mean is a sum over futures, each times its probability. So is its price, over what may come.",
            "For a draw there are K times K cases: i is drawn and j comes, with probability p_i times p_j.",
            "With the futures as rows of `flat`, `(flat[:, None] - flat).square().sum(2)` holds the K times K errors.",
        ),
    ),
)
