"""The exercises of chapter 09: noise over clips, its factors, the loss, a walk along the flow, guidance given twice."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from course import budget
from course.diffusion.samplers import noise_steps
from course.diffusion.schedule import Cosine, Flow, LinearBeta, Schedule, diffuse
from course.exercises.checking import Exercise, close, holds, same


def _put_noise(clean: Tensor, noise_step: Tensor, generator: torch.Generator) -> Tensor:
    return diffuse(clean, torch.randn(clean.shape, generator=generator), noise_step, Flow())


_SHARED = (
    ((2, 3, 4), "one number lies over a whole frame: every pixel has its own noise"),
    ((2,), "the channels share their noise: every pixel has its own in each channel"),
    (
        (1,),
        "all frames of a clip have the same noise: the difference of two frames would be free of it; "
        "draw for every frame",
    ),
    ((0,), "all clips have the same noise: draw for every clip"),
)


def _noise(answer: object) -> None:
    chance = budget.generator(0)
    for B, T in ((4, 4), (3, 5)):
        form = (-1, 1, 1, 1, 1)
        clean = torch.rand(B, T, 3, 6, 6, generator=chance) * 2 - 1
        s = torch.tensor([0.2, 0.5, 0.9, 0.35])[:B]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            first = answer(clean, s, budget.generator(0))
            torch.manual_seed(2)
            again = answer(clean, s, budget.generator(0))
        holds(isinstance(first, Tensor), f"the result is a {type(first).__name__}, wanted a tensor.")
        holds(
            first.shape == clean.shape,
            f"the result has shape {tuple(first.shape)}, wanted that of the clips, {tuple(clean.shape)}.",
        )
        holds(
            torch.equal(first, again),
            "the same generator gave another result: draw with torch.randn(..., generator=generator) and with "
            "nothing else.",
        )
        draws = torch.stack([answer(clean, s, budget.generator(seed)) for seed in range(300)])
        apart = draws[1] - draws[0]  # free of the clip: noise alone
        holds(bool(apart.abs().max() > 0), "another generator gave the same result: is there noise, and from it?")
        one = budget.generator(0)
        holds(
            not torch.equal(answer(clean, s, one), answer(clean, s, one)),
            "two calls with one generator gave the same noise: draw from it, and do not begin it anew.",
        )
        grain = apart / s.view(form)
        for dimensions, words in _SHARED:
            holds(not torch.allclose(grain, grain.mean(dim=dimensions, keepdim=True), atol=1e-4), f"{words}.")
        noise = (draws - draws.mean(dim=0)).permute(1, 2, 0, 3, 4, 5).flatten(0, 1).flatten(1)  # a row for each frame
        alike = (torch.corrcoef(noise) - torch.eye(len(noise))).abs().max().item()
        holds(
            alike < 0.1,
            f"two frames share some of their noise (their correlation is {alike:.2f}): draw fresh noise for every "
            "frame of every clip.",
        )
        deviation = draws.std(dim=0).mean(dim=(2, 3, 4))  # (B, T)
        # How much of the clip is in the mean of all draws, frame by frame.
        mean = draws.mean(dim=0)
        share = (mean * clean).sum(dim=(2, 3, 4)) / clean.square().sum(dim=(2, 3, 4))

        def near(got: Tensor, wanted: Tensor, T: int = T) -> bool:
            return torch.allclose(got, wanted.expand(-1, T) if wanted.ndim == 2 else wanted, atol=0.05)

        told = s[:, None]  # (B, 1)
        holds(
            not (near(deviation, 1 - told) and near(share, told)),
            "the factors are exchanged: the clip is multiplied by 1 - s and the noise by s.",
        )
        holds(
            not (B == T and torch.allclose(deviation, s.expand(B, B), atol=0.05)),
            "frame t of every clip got the noise step of clip t: B and T are the same number here, so the shape "
            "cannot tell; give the noise steps four dimensions behind the first.",
        )
        holds(
            not near(deviation, told.sqrt()) and not near(share, (1 - told.square()).sqrt()),
            "a root was taken, as other schedules do: on the flow the factors are 1 - s and s themselves.",
        )
        holds(
            not near(share, torch.ones_like(told)),
            "the clip is as strong as before: it is to be multiplied by 1 - s, so that at 1 nothing is left of it.",
        )
        bias = (mean - (1 - s.view(form)) * clean).mean().item()
        holds(
            abs(bias) < 0.03,
            f"the noise is {bias:.2f} on average, wanted 0: torch.randn draws from the normal distribution.",
        )
        holds(
            near(deviation, told),
            f"at noise steps {[round(one, 2) for one in s.tolist()]} the noise has the deviations "
            f"{[round(one, 2) for one in deviation.mean(dim=1).tolist()]}, wanted the noise steps themselves: "
            "s times noise of deviation 1.",
        )
        large = ((draws - mean) / s.view(form)).abs().gt(2).float().mean().item()
        holds(large > 0.03, "the noise has no large values, as if it were uniform: draw it with torch.randn.")
        holds(
            near(share, 1 - told),
            "what is left of the clip is not 1 - s of it. Are its values moved to another range? They are in [-1, 1].",
        )
        still = answer(clean, torch.zeros(B), budget.generator(0))
        same(still, clean, what="at noise step 0 the result", look="nothing may lie over the clip there")


def _columns(signal: Tensor, noise: Tensor) -> Tensor:
    return torch.stack([signal, noise], dim=1)


def _factors(answer: object) -> None:
    chance = budget.generator(1)
    for beta in (torch.tensor([0.1, 0.2, 0.3]), 0.05 + 0.4 * torch.rand(6, generator=chance), torch.tensor([0.5])):
        product = (1 - beta).cumprod(dim=0)
        kept = torch.cat([torch.ones(1), product])

        def roots(kept: Tensor) -> Tensor:
            return _columns(kept.clamp(0, 1).sqrt(), (1 - kept).clamp(0, 1).sqrt())

        backwards = torch.cat([torch.ones(1), (1 - beta).flip(0).cumprod(dim=0)])
        usual = {
            "the row for 0 steps is missing, where all is kept: the product is shifted by one": roots(product),
            "the product is shifted by one: row k is to hold k factors, and row 1 holds none yet": roots(
                torch.cat([torch.ones(2), product[:-1]])
            ),
            "the product is shifted by one: row 0 is to hold no factor, signal 1 and noise 0": roots(
                torch.cat([product, product[-1:]])
            ),
            "betas were multiplied: what is multiplied is the share that each step keeps, 1 - beta": roots(
                torch.cat([torch.ones(1), beta.cumprod(dim=0)])
            ),
            "betas were summed: each step keeps a share of what is left, so the shares are multiplied": roots(
                torch.cat([torch.ones(1), 1 - beta.cumsum(dim=0)])
            ),
            "these are the factors of each step alone: multiply those of all steps so far": roots(
                torch.cat([torch.ones(1), 1 - beta])
            ),
            "these are variances: the factors are their roots": _columns(kept, 1 - kept),
            "noise is 1 - signal here: it is their squares that sum to 1": _columns(kept.sqrt(), 1 - kept.sqrt()),
            "signal and noise are exchanged: signal is column 0": roots(kept).flip(1),
            "rows and columns are exchanged: one row for each number of steps": roots(kept).T,
            "the last step was taken first: row k holds the first k factors": roots(backwards),
            "the root of the signal is missing": _columns(kept, (1 - kept).sqrt()),
            "the root of the noise is missing": _columns(kept.sqrt(), 1 - kept),
        }
        same(
            answer(beta),
            roots(kept),
            what=f"for {len(beta)} steps the result",
            usual=usual,
            look="the product of 1 - beta over the steps so far, with a 1 in front; then roots",
        )


class _Recorder:
    """A network that can be computed by hand; it remembers what it was asked."""

    def __init__(self) -> None:
        self.factor = torch.tensor(0.7, requires_grad=True)
        self.asked: list[tuple[Tensor, Tensor, object]] = []

    def __call__(self, noisy: Tensor, noise_step: Tensor, condition: object) -> Tensor:
        holds(
            isinstance(noise_step, Tensor) and noise_step.shape == noisy.shape[:1],
            "the network was told a noise step "
            f"{tuple(noise_step.shape) if isinstance(noise_step, Tensor) else type(noise_step).__name__}, wanted a "
            f"tensor with one number for each of {len(noisy)} clips.",
        )
        self.asked.append((noisy.detach(), noise_step, condition))
        return self.answer(noisy, noise_step, condition)

    def answer(self, noisy: Tensor, noise_step: Tensor, condition: object) -> Tensor:
        told = 0.0 if condition is None else condition
        return self.factor * torch.tanh(noisy) + 0.3 * noise_step.view(-1, 1, 1, 1, 1) + 0.2 * (told + told * told)


def _loss_mistakes(
    network: _Recorder, clean: Tensor, condition: object, s: Tensor, epsilon: Tensor, schedule: Schedule
) -> dict[str, Tensor]:
    a, b = (one.view(-1, 1, 1, 1, 1) for one in (schedule.signal(s), schedule.noise(s)))
    z = a * clean + b * epsilon
    given = network.answer(z, s, condition)
    columns = schedule.signal(s) * clean + schedule.noise(s) * epsilon if len(s) == clean.shape[-1] else z

    def error(got: Tensor, wanted: Tensor) -> Tensor:
        return (got - wanted).square().mean()

    return {
        "the answer is compared with the clean clip, and the network is asked for the noise": error(given, clean),
        "the answer is compared with what the network was shown": error(given, z),
        "the answer is compared with the velocity, epsilon - clean: asked for is epsilon": error(
            given, epsilon - clean
        ),
        "the answer is compared with v: asked for is epsilon": error(given, a * epsilon - b * clean),
        "the answer is compared with the noise as it lies over the clip: asked for is epsilon itself, before its "
        "factor": error(given, b * epsilon),
        "the network was shown the clean clip, without noise": error(network.answer(clean, s, condition), epsilon),
        "the network was shown the noise alone": error(network.answer(epsilon, s, condition), epsilon),
        "signal and noise are exchanged: the clean clip is multiplied by the signal": error(
            network.answer(b * clean + a * epsilon, s, condition), epsilon
        ),
        "the straight flow was used: the factors are the schedule's": error(
            network.answer((1 - s.view(-1, 1, 1, 1, 1)) * clean + s.view(-1, 1, 1, 1, 1) * epsilon, s, condition),
            epsilon,
        ),
        "the noise was added at full strength": error(network.answer(clean + epsilon, s, condition), epsilon),
        "the factor of clip b landed on the pixels of column b: give the factors four dimensions behind the first": (
            error(network.answer(columns, s, condition), epsilon)
        ),
        "the network was not told the noise step: hand it on as it is": error(
            network.answer(z, torch.zeros_like(s), condition), epsilon
        ),
        "the network was not told the condition": error(network.answer(z, s, None), epsilon),
        "the errors are summed: wanted their mean": (given - epsilon).square().sum(),
        "the errors are summed over each clip: wanted their mean over everything": (
            (given - epsilon).square().flatten(1).sum(dim=1).mean()
        ),
        "this is the mean absolute error: wanted the squared one": (given - epsilon).abs().mean(),
        "this is the root of the mean: wanted the mean squared error": error(given, epsilon).sqrt(),
        "this is half of it": error(given, epsilon) / 2,
    }


def _loss(answer: object) -> None:
    chance = budget.generator(2)
    for (B, T, C, H, W), schedule in (((3, 3, 3, 3, 3), Cosine()), ((4, 2, 3, 5, 5), LinearBeta())):
        clean = torch.rand(B, T, C, H, W, generator=chance) * 2 - 1
        epsilon = torch.randn(B, T, C, H, W, generator=chance)
        s = torch.tensor([0.15, 0.5, 0.8, 0.35])[:B]
        condition = torch.randn(B, 1, 1, 1, 1, generator=chance)
        network = _Recorder()
        a, b = (one.view(-1, 1, 1, 1, 1) for one in (schedule.signal(s), schedule.noise(s)))
        wanted = (network.answer(a * clean + b * epsilon, s, condition) - epsilon).square().mean()
        usual = _loss_mistakes(network, clean, condition, s, epsilon, schedule)
        got = answer(network, clean, condition, s, epsilon, schedule)
        holds(len(network.asked) > 0, "the network was not asked.")
        close(
            got,
            wanted.item(),
            usual={words: value.item() for words, value in usual.items() if (value - wanted).abs() > 1e-3},
            look="cover the clip, ask the network, compare its answer with epsilon",
        )
        holds(len(network.asked) == 1, f"the network was asked {len(network.asked)} times: once is enough.")
        holds(
            isinstance(got, Tensor) and got.requires_grad,
            "no gradient comes to the network: return the tensor itself, not its number, and detach nothing.",
        )
        (due,) = torch.autograd.grad(wanted, network.factor)
        (came,) = torch.autograd.grad(got, network.factor, allow_unused=True)
        holds(
            came is not None and torch.allclose(came, due, rtol=1e-3, atol=1e-6),
            "the number is right, and another gradient comes to the network: was something detached, or a tensor made "
            "anew from a number?",
        )


def _walk_from(network: _Recorder, noise: Tensor, condition: object, steps: Tensor, **options: bool) -> Tensor:
    """Walk along the flow, right or with one of the usual mistakes."""
    z = noise
    for here, there in pairwise(steps.flip(0) if options.get("up") else steps):
        length = 1 / (len(steps) - 1) if options.get("even") else here - there
        where = (there if options.get("there") else here).expand(len(z))
        found = network.answer(noise if options.get("stay") else z, where, condition)
        if options.get("clean"):
            found = (z - found) / here
        z = z + length * found if options.get("sign") else z - length * found
    return z


def _walk(answer: object) -> None:
    chance = budget.generator(3)
    for (B, T, C, H, W), steps in (((3, 3, 2, 4, 4), noise_steps(5, shift=3.0)), ((2, 4, 3, 3, 3), noise_steps(4))):
        noise = torch.randn(B, T, C, H, W, generator=chance)
        condition = torch.randn(B, 1, 1, 1, 1, generator=chance)
        network = _Recorder()

        def walk(
            steps: Tensor = steps,
            condition: object = condition,
            network: _Recorder = network,
            noise: Tensor = noise,
            **options: bool,
        ) -> Tensor:
            return _walk_from(network, noise, condition, steps, **options).detach()

        wanted = walk()
        usual = {
            "the steps were visited from 0 to 1: begin with noise alone, at 1": walk(up=True),
            "each step went the wrong way, towards more noise: what is added is (there - here) times the velocity, "
            "and there is smaller than here": walk(sign=True),
            "the network was told where it goes: tell it where it is": walk(there=True),
            "the last step is missing: the walk ends at 0": walk(steps[:-1]),
            "the first step is missing: the walk begins at 1": walk(steps[1:]),
            "all steps have the same length: each is as long as the steps are apart": walk(even=True),
            "the answers were taken for clean clips: they are velocities already": walk(clean=True),
            "the network was shown the first noise in every step: show it where the walk has come to": walk(stay=True),
            "the walk was one single step: visit all noise steps": walk(steps[[0, -1]]),
            "the network was not told the condition": walk(condition=None),
            "the result was cut to [-1, 1]: nothing is to be cut": wanted.clamp(-1, 1),
            "the noise came back as it was": noise,
        }
        got = answer(network, noise, condition, steps)
        holds(len(network.asked) > 0, "the network was not asked.")
        same(
            got.detach() if isinstance(got, Tensor) else got,
            wanted,
            usual={words: value for words, value in usual.items() if not torch.allclose(value, wanted, atol=1e-3)},
            look="z, plus (there - here) times the network's answer at z and here, for each pair of neighbours",
        )
        holds(
            len(network.asked) == len(steps) - 1,
            f"the network was asked {len(network.asked)} times, wanted once for each of {len(steps) - 1} steps.",
        )


def _guide(answer: object) -> None:
    chance = budget.generator(4)
    for scale, away in ((2.0, 0.5), (1.5, 3.0), (0.0, 1.0), (3.0, 0.0)):
        noisy = torch.randn(2, 3, 3, 4, 4, generator=chance)
        s = torch.tensor([0.7, 0.3])
        null, wish, aversion = (torch.randn(2, 1, 1, 1, 1, generator=chance) for _ in range(3))
        network = _Recorder()
        made = answer(network, scale, null, aversion, away)
        holds(
            isinstance(made, Callable),
            f"the result is a {type(made).__name__}, wanted a function of noisy, noise_step and condition.",
        )
        network.asked.clear()
        n, w, a = (network.answer(noisy, s, told).detach() for told in (null, wish, aversion))
        wanted = n + scale * (w - n) - away * (a - n)
        usual = {
            "both signs are exchanged: it flees the wish and follows the aversion": (
                n - scale * (w - n) + away * (a - n)
            ),
            "the sign of the wish is exchanged: its direction is wish - without": n - scale * (w - n) - away * (a - n),
            "the aversion is followed: its part is to be taken away": n + scale * (w - n) + away * (a - n),
            "it starts from the wish, so that its scale is one too large: start from the answer without": (
                w + scale * (w - n) - away * (a - n)
            ),
            "the aversion is measured from the wish: both are measured from the answer without": (
                n + scale * (w - n) - away * (a - w)
            ),
            "the wish is measured from the aversion: both are measured from the answer without": (
                n + scale * (w - a) - away * (a - n)
            ),
            "the answers themselves were scaled: scale their differences from the answer without": (
                n + scale * w - away * a
            ),
            "the answer without words is not added": scale * (w - n) - away * (a - n),
            "the two scales are exchanged": n + away * (w - n) - scale * (a - n),
            "the aversion is not heard: this is guidance given once": n + scale * (w - n),
            "the wish is not heard": n - away * (a - n),
            "nothing is guided: this is the answer to the wish": w,
            "the conditions were mixed, and the network was asked once: ask it for each, and mix its answers": (
                network.answer(noisy, s, null + scale * (wish - null) - away * (aversion - null)).detach()
            ),
        }
        got = made(noisy, s, wish)
        same(
            got.detach() if isinstance(got, Tensor) else got,
            wanted,
            what=f"with scale {scale:g} and away {away:g} the guided answer",
            usual={words: value for words, value in usual.items() if not torch.allclose(value, wanted, atol=1e-3)},
            look="ask without, for the wish and for the aversion; then the formula",
        )
        holds(len(network.asked) <= 3, f"the network was asked {len(network.asked)} times: three are enough.")


EXERCISES = (
    Exercise(
        "09-noise",
        _noise,
        "each pixel of each frame has noise of its own, as much as its clip's noise step says",
        (
            "Two factors and one draw. On the flow the factors are 1 - s and s.",
            "`noise_step` is (B,), the clips are (B, T, C, H, W): where must the four missing dimensions stand, so "
            "that each clip gets its own?",
            "`s = noise_step[:, None, None, None, None]`, and `torch.randn(clean.shape, generator=generator)` for the "
            "noise.",
        ),
        _put_noise,
    ),
    Exercise(
        "09-factors",
        _factors,
        "a product with a 1 in front, and two roots whose squares sum to 1",
        (
            "What does one step keep of the variance? And k steps, one after the other?",
            "`(1 - beta).cumprod(dim=0)` begins after one step; nothing has been lost after none.",
            "With `kept = torch.cat([torch.ones(1), (1 - beta).cumprod(dim=0)])`, the columns are `kept.sqrt()` and "
            "`(1 - kept).sqrt()`.",
        ),
    ),
    Exercise(
        "09-loss",
        _loss,
        "covered, asked, and compared with the noise",
        (
            "Three lines: what the network is shown, what it answers, and what this is compared with.",
            "The factors are one number for each clip: `.view(-1, 1, 1, 1, 1)` lets them meet the clips. The network "
            "is told `noise_step` as it is.",
            "`answer = network(signal * clean + noise * epsilon, noise_step, condition)`, and the mean of "
            "`(answer - epsilon).square()`.",
        ),
    ),
    Exercise(
        "09-walk",
        _walk,
        "from noise to a clip, a straight piece for each pair of noise steps",
        (
            "The velocity says how z changes as the noise step *grows*. We go the other way.",
            "`itertools.pairwise(steps)` gives each step with the next, here and there: there - here is negative.",
            "In the loop: `z = z + (there - here) * network(z, here.expand(len(z)), condition)`.",
        ),
    ),
    Exercise(
        "09-guide",
        _guide,
        "towards the one, away from the other, both measured from no words at all",
        (
            "The result is a function that is made inside yours, as `my_guided` does in section 7.",
            "Ask for three: `null`, the condition that comes, and `aversion`. Subtract the first from both others.",
            "`without + scale * (wish - without) - away * (avoid - without)`, inside `def guide(noisy, noise_step, "
            "condition)`, and at the end `return guide`.",
        ),
    ),
)
