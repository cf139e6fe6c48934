"""The exercises of chapter 08: codes, three kinds of pairs, a norm, a penalty, a critic that reads, a turn."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import budget
from course.exercises.checking import Exercise, close, holds, same
from course.training.adversarial import hinge_critic_loss, hinge_generator_loss


def _draw_codes(
    num_clips: int, num_frames: int, content_size: int, motion_size: int, generator: torch.Generator
) -> Tensor:
    content = torch.randn(num_clips, 1, content_size, generator=generator)
    motion = torch.randn(num_clips, num_frames, motion_size, generator=generator)
    return torch.cat([content.expand(-1, num_frames, -1), motion], dim=2)


def _codes(answer: object) -> None:
    for B, T, content_size, motion_size in ((3, 3, 3, 3), (4, 6, 5, 2)):
        sizes = B, T, content_size, motion_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            first = answer(*sizes, budget.generator(0))
            torch.manual_seed(2)
            again = answer(*sizes, budget.generator(0))
        holds(isinstance(first, Tensor), f"the result is a {type(first).__name__}, wanted a tensor.")
        wanted = (B, T, content_size + motion_size)
        holds(first.shape == wanted, f"the result has shape {tuple(first.shape)}, wanted {wanted}.")
        holds(torch.equal(first, again), "the same generator gave other codes: draw from generator and nothing else.")
        one = budget.generator(0)
        holds(
            not torch.equal(answer(*sizes, one), answer(*sizes, one)),
            "two calls with one generator gave the same codes: draw from it, and do not begin it anew.",
        )
        content, motion = first.split((content_size, motion_size), dim=2)
        _content_and_motion(content, motion, first, motion_size)
        draws = torch.stack([answer(*sizes, budget.generator(seed)) for seed in range(400)])  # (400, B, T, sizes)
        _normal(draws, content_size)


def _content_and_motion(content: Tensor, motion: Tensor, codes: Tensor, motion_size: int) -> None:
    """Raise unless the content stays in a clip and is another one in each, and the motion is fresh everywhere."""

    def stays(code: Tensor, dim: int) -> bool:
        return torch.equal(code, code.narrow(dim, 0, 1).expand_as(code))

    holds(
        not (stays(codes[..., motion_size:], 1) and not stays(codes[..., :motion_size], 1)),
        "content and motion are exchanged: the content comes first.",
    )
    holds(
        not (stays(content, 0) and not stays(content, 1)),
        "the content stays over the clips and changes over the frames: it is to be the other way round.",
    )
    holds(
        stays(content, 1),
        "the content is another one in every frame: draw it once for each clip, and repeat it over the frames.",
    )
    holds(not stays(content, 0), "all clips have the same content: draw it for each clip.")
    holds(not stays(motion, 1), "the motion is the same in all frames: draw it afresh for each.")
    holds(not stays(motion, 0), "all clips have the same motion: draw it for each clip.")
    holds(
        not any(stays(code, 2) for code in (content, motion)),
        "one number is repeated over a whole code: every number of it is drawn.",
    )
    holds(
        not bool((motion[:, :1, : content.shape[2]] == content[:, :1, : motion.shape[2]]).any()),
        "the motion of the first frame holds numbers of the content: they are drawn apart.",
    )


def _normal(draws: Tensor, content_size: int) -> None:
    """Raise unless the numbers of many draws are standard normal, in every frame."""
    for name, code in (("content", draws[..., :content_size]), ("motion", draws[..., content_size:])):
        by_frame = code.std(dim=(0, 1, 3))  # (T,)
        holds(
            by_frame.max() < 1.3 * by_frame.min(),
            f"the {name} spreads more in some frames than in others: is it summed up over the frames? Here every "
            "frame's numbers are drawn afresh; the walk is the recurrent cell's.",
        )
        mean, deviation = code.mean().item(), code.std().item()
        holds(
            abs(mean) < 0.1 and abs(deviation - 1) < 0.1,
            f"the {name} has mean {mean:.2f} and deviation {deviation:.2f}, wanted 0 and 1: torch.randn.",
        )
        large = code.abs().gt(2.2).float().mean().item()
        holds(large > 0.01, f"the {name} has no large numbers, as if it were drawn evenly: torch.randn.")


def _hinge(answer: object) -> None:
    chance = budget.generator(1)
    for N, M, K in ((4, 4, 4), (5, 3, 8)):
        real, drawn, wrong = (
            (1.5 * torch.randn(size, generator=chance) + shift).requires_grad_()
            for size, shift in ((N, 0.3), (M, -0.4), (K, -0.2))
        )

        def yes(scores: Tensor) -> Tensor:
            return F.relu(1 - scores).mean()

        def no(scores: Tensor) -> Tensor:
            return F.relu(1 + scores).mean()

        wanted = yes(real) + (no(drawn) + no(wrong)) / 2
        together = torch.cat([drawn, wrong])
        usual = {
            "all signs are exchanged: real clips would be pushed down and the others up": no(real)
            + (yes(drawn) + yes(wrong)) / 2,
            "the sign of the real ones is exchanged: they cost 1 - score where that is above 0": no(real)
            + (no(drawn) + no(wrong)) / 2,
            "the sign of the drawn ones is exchanged: they cost 1 + score where that is above 0": yes(real)
            + (yes(drawn) + no(wrong)) / 2,
            "wrong captions are counted as right ones: they cost 1 + score where that is above 0": yes(real)
            + (no(drawn) + yes(wrong)) / 2,
            "drawn clips and wrong captions count as much as the real ones each: together they are to count as much": (
                yes(real) + no(drawn) + no(wrong)
            ),
            "drawn and wrong are averaged as one heap: each kind has its own mean": yes(real) + no(together),
            "the half applies to everything: the real ones count fully": wanted / 2,
            "wrong captions are not counted": yes(real) + no(drawn),
            "wrong captions are not counted, and drawn clips half": yes(real) + no(drawn) / 2,
            "drawn clips are not counted": yes(real) + no(wrong),
            "real clips are not counted": (no(drawn) + no(wrong)) / 2,
            "there is no hinge: what is beyond the margin costs nothing, not less than nothing": (1 - real).mean()
            + ((1 + drawn).mean() + (1 + wrong).mean()) / 2,
            "there is no margin: real ones are to be above 1, the others below -1": F.relu(-real).mean()
            + (F.relu(drawn).mean() + F.relu(wrong).mean()) / 2,
            "this is the logarithmic loss: the hinge is max(0, 1 - score)": F.softplus(-real).mean()
            + (F.softplus(drawn).mean() + F.softplus(wrong).mean()) / 2,
            "the hinges are squared": F.relu(1 - real).square().mean()
            + (F.relu(1 + drawn).square().mean() + F.relu(1 + wrong).square().mean()) / 2,
            "the clips are summed: wanted their mean": F.relu(1 - real).sum()
            + (F.relu(1 + drawn).sum() + F.relu(1 + wrong).sum()) / 2,
            "this is the generator's loss": -drawn.mean(),
        }
        got = answer(real, drawn, wrong)
        close(
            got,
            wanted.item(),
            usual={words: value.item() for words, value in usual.items() if (value - wanted).abs() > 1e-3},
            look="max(0, 1 - real), max(0, 1 + drawn), max(0, 1 + wrong), a mean of each, and the last two halved",
        )
        holds(
            isinstance(got, Tensor) and got.requires_grad,
            "no gradient comes to the scores: return the tensor itself, not its number, and detach nothing.",
        )
        scores = (real, drawn, wrong)
        due = torch.autograd.grad(wanted, scores)
        came = torch.autograd.grad(got, scores, allow_unused=True)
        holds(
            all(a is not None and torch.allclose(a, b, atol=1e-6) for a, b in zip(came, due, strict=True)),
            "the number is right, and another gradient comes to the scores: was something detached, or a tensor made "
            "anew from a number?",
        )


def _round(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    v = F.normalize(matrix.T @ u, dim=0)
    return F.normalize(matrix @ v, dim=0), v


def _norm(answer: object) -> None:
    chance = budget.generator(2)
    for form in ((6, 2, 1, 3), (5, 2, 3, 3), (4, 3, 1, 1)):
        weight = torch.randn(form, generator=chance).requires_grad_()
        u = F.normalize(torch.randn(form[0], generator=chance), dim=0)
        result = answer(weight, u)
        holds(
            isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(one, Tensor) for one in result),
            f"the result is {'one tensor' if isinstance(result, Tensor) else f'a {type(result).__name__}'}, wanted "
            "two: the normalised weight, and the u that the next use begins with.",
        )
        got, kept = result
        matrix = weight.detach().flatten(1)
        new, v = _round(matrix, u)
        stretch = new @ matrix @ v
        same(
            got.detach(),
            weight.detach() / stretch,
            what="the normalised weight",
            usual=_unlike(_wrong_norms(weight.detach(), u), weight.detach() / stretch),
            look="the matrix is weight.flatten(1); v from u, u from v, each of length 1; divide by u @ matrix @ v",
        )
        same(
            kept.detach(),
            new,
            what="the u to be kept",
            usual=_unlike(
                {
                    "the u that was given came back: without the new one the estimate never comes nearer": u,
                    "v was returned in place of u": v,
                    "u is not of length 1": matrix @ v,
                    "u is one round too far: a second round was taken": _round(matrix, new)[0],
                },
                new,
            ),
            look="the u at the end of the round, of length 1",
        )
        _gradient_of_norm(got, weight, new, v, chance)
        holds(not kept.requires_grad, "u carries a gradient into the next use: find u and v under torch.no_grad().")


def _wrong_norms(weight: Tensor, u: Tensor) -> dict[str, Tensor]:
    matrix = weight.flatten(1)
    new, v = _round(matrix, u)
    stretch = new @ matrix @ v
    second, after = _round(matrix, new)
    largest = torch.linalg.svdvals(matrix)[0]
    wrong = {
        "the weight was divided by Frobenius' norm, the root of the sum of all squares: that adds up the stretches of "
        "all directions": weight / weight.norm(),
        "the weight was divided by the exact norm: one round of power iteration is asked for": weight / largest,
        "the stretch was taken with the old u: take the new one": weight / (u @ matrix @ v),
        "two rounds were taken: one is asked for": weight / (second @ matrix @ after),
        "every output was divided by its own length: one number divides the whole weight": weight
        / matrix.norm(dim=1).view(-1, 1, 1, 1),
        "the weight was multiplied: divide by the stretch": weight * stretch,
        "the weight was divided by the square of the stretch: v was not made of length 1, or the stretch taken twice": (
            weight / stretch.square()
        ),
        "the weight came back as it was": weight,
        "the stretch itself came back: divide the weight by it": stretch.expand(weight.shape),
        "the weight was divided by its largest number": weight / weight.abs().max(),
        "it is the matrix that came back: the weight keeps its four dimensions": matrix / stretch,
    }
    others = {
        "the inputs were taken for the outputs: outputs are dimension 0": weight.transpose(0, 1).flatten(1),
        "rows and outputs are mixed up, for reshape keeps the order of the numbers: weight.flatten(1)": weight.reshape(
            -1, len(weight)
        ).T,
    }
    for words, matrix in others.items():
        if len(matrix) == len(u):
            new, v = _round(matrix, u)
            wrong[words] = weight / (new @ matrix @ v)
    return wrong


def _gradient_of_norm(got: Tensor, weight: Tensor, u: Tensor, v: Tensor, chance: torch.Generator) -> None:
    """Raise unless the gradient flows through the weight and the stretch, and not through the round."""
    holds(got.requires_grad, "no gradient comes to the weight: only the round belongs under torch.no_grad().")
    along = torch.randn(weight.shape, generator=chance)
    (came,) = torch.autograd.grad((got * along).sum(), weight)

    def due(stretch: Tensor) -> Tensor:
        return torch.autograd.grad((weight / stretch * along).sum(), weight)[0]

    stretch = u @ weight.flatten(1) @ v
    right, cut = due(stretch), due(stretch.detach())
    holds(
        not (torch.allclose(came, cut, atol=1e-5) and not torch.allclose(cut, right, atol=1e-4)),
        "the values are right, but no gradient flows through the stretch: only u and v are found under "
        "torch.no_grad(), and u @ matrix @ v is not.",
    )
    holds(
        torch.allclose(came, right, rtol=1e-3, atol=1e-4),
        "the values are right, and another gradient comes to the weight: does it flow through the round? Find u and v "
        "under torch.no_grad().",
    )


def _unlike(usual: dict[str, Tensor], wanted: Tensor) -> dict[str, Tensor]:
    """Leave out what is no mistake here."""
    return {
        words: value
        for words, value in usual.items()
        if value.shape != wanted.shape or not torch.allclose(value, wanted, atol=1e-3)
    }


class _Scorer(nn.Module):
    """A critic whose slope is another one at each clip."""

    def __init__(self, numbers: int, chance: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(numbers, 5, generator=chance) / 2)
        self.second = nn.Parameter(torch.randn(5, generator=chance))

    def forward(self, clips: Tensor) -> Tensor:
        return torch.tanh(clips.flatten(1) @ self.first) @ self.second


def _penalty(answer: object) -> None:
    chance = budget.generator(3)
    for form, gamma in (((3, 2, 3, 2, 2), 3.0), ((4, 1, 1, 2, 2), 5.0)):
        real, drawn = (torch.rand(form, generator=chance) for _ in range(2))
        score = _Scorer(real[0].numel(), chance)
        got = answer(score, real, drawn, gamma)
        wanted = gamma / 2 * _slopes(score, real).square().sum(dim=1).mean()
        usual = _wrong_penalties(score, real, drawn, gamma)
        close(
            got,
            wanted.item(),
            usual={words: value.item() for words, value in usual.items() if (value - wanted).abs() > 1e-4},
            look="the slope of the summed scores by the real clips; its squares summed over each clip, then the mean",
        )
        holds(not real.requires_grad, "the real clips that were given have been changed: take a detached copy.")
        holds(
            all(parameter.grad is None for parameter in score.parameters()),
            "gradients were left in the critic: use torch.autograd.grad, which leaves none, in place of backward.",
        )
        holds(
            isinstance(got, Tensor) and got.requires_grad,
            "no gradient comes to the critic: create_graph=True keeps what backward needs, and nothing is detached.",
        )
        parameters = list(score.parameters())
        due = torch.autograd.grad(wanted, parameters)
        came = torch.autograd.grad(got, parameters, allow_unused=True)
        holds(
            all(a is not None and torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(came, due, strict=True)),
            "the number is right, and another gradient comes to the critic: was the slope detached somewhere?",
        )


def _slopes(score: nn.Module, clips: Tensor) -> Tensor:
    """Return the slope at each clip, (B, numbers), to be differentiated once more."""
    clips = clips.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(clips).sum(), clips, create_graph=True)
    return slope.flatten(1)


def _wrong_penalties(score: nn.Module, real: Tensor, drawn: Tensor, gamma: float) -> dict[str, Tensor]:
    slope, half = _slopes(score, real), gamma / 2

    def of(clips: Tensor) -> Tensor:
        return _slopes(score, clips).square().sum(dim=1).mean()

    squares = slope.square()
    length = squares.sum(dim=1).sqrt()
    return {
        "the penalty is taken at the drawn clips: it is to flatten the critic where the generator shall arrive, at "
        "the real ones": half * of(drawn),
        "the penalty is taken at real and drawn clips: at the real ones alone": half * (of(real) + of(drawn)),
        "the penalty is taken at the mean of both penalties: at the real clips alone": half
        * (of(real) + of(drawn))
        / 2,
        "the penalty is taken half-way between real and drawn clips: at the real ones": half * of((real + drawn) / 2),
        "the length is not squared": half * length.mean(),
        "the length is drawn to 1, which is another penalty: R1 draws it to 0": half * (length - 1).square().mean(),
        "the squares are averaged over the numbers of a clip: sum them": half * squares.mean(),
        "the clips are summed: wanted their mean": half * squares.sum(),
        "the slope of the *mean* score was taken, which is smaller by the number of clips: sum the scores": half
        * squares.sum(dim=1).mean()
        / len(real) ** 2,
        "gamma is not halved": gamma * squares.sum(dim=1).mean(),
        "the weight is missing: gamma / 2": squares.sum(dim=1).mean(),
        "gamma is missing, and the half is there": squares.sum(dim=1).mean() / 2,
        "the slopes are summed before they are squared": half * slope.sum(dim=1).square().mean(),
        "the slopes of all clips are averaged before they are squared": half * slope.mean(dim=0).square().sum(),
        "the absolute values are summed: wanted the squares": half * slope.abs().sum(dim=1).mean(),
        "the scores are squared: wanted their slope": half * score(real).square().mean(),
    }


_NUM_WORDS = 5


def _critic(answer: object) -> None:
    for B, size in ((9, 3), (12, 4)):
        torch.manual_seed(B)
        features = nn.Sequential(nn.Flatten(), nn.Linear(12, size), nn.Tanh())
        with torch.no_grad():
            features[1].weight *= 4  # so that the features differ much
        clips = torch.rand(B, 3, 2, 2, generator=budget.generator(B))
        critic = answer(features, size, _NUM_WORDS)
        holds(
            isinstance(critic, nn.Module),
            f"the result is a {type(critic).__name__}, wanted a module, to be called as critic(clips, words).",
        )

        def ask(*words: int, critic: nn.Module = critic, clips: Tensor = clips) -> Tensor:
            return critic(clips, torch.tensor([words] * len(clips)))

        first = ask(1, 2)
        holds(
            isinstance(first, Tensor) and first.shape == (B,),
            f"the scores are {tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__}, wanted "
            f"({B},): one for each clip.",
        )
        _trained(critic, features, ask, B)
        _reads(critic, features, clips, ask)


def _trained(critic: nn.Module, features: nn.Module, ask: Callable, B: int) -> None:
    """Raise unless an optimiser of the critic's parameters moves the features, the layer and the words' vectors."""
    parameters = list(critic.parameters())
    listed = {id(parameter) for parameter in parameters}
    holds(
        all(id(parameter) in listed for parameter in features.parameters()),
        "the features' weights are not among critic.parameters(): make the module an attribute of yours.",
    )
    kept = deepcopy(features.state_dict())

    def now() -> tuple[Tensor, Tensor]:
        """Return what word 3 adds to the scores and word 2 does not, and the scores without words."""
        with torch.no_grad():
            return ask(3) - ask(2), ask(0)

    before = now()
    optimiser = torch.optim.SGD(parameters, lr=0.02)
    optimiser.zero_grad()
    loss = (ask(3, 0) * torch.linspace(-1, 2, B)).sum()
    holds(loss.requires_grad, "no gradient comes from the scores: is something detached, or under no_grad?")
    loss.backward()
    optimiser.step()
    features.load_state_dict(kept)  # what is left is the words' and the layer's doing
    after = now()
    reads = [bool(added.abs().max() > 1e-6) for added in (before[0], after[0])]
    holds(any(reads), "the critic is blind: another caption changes none of its scores.")
    holds(
        not torch.allclose(before[0], after[0], atol=1e-6),
        "the words' vectors are left out of the optimiser: they are not among critic.parameters(), or no gradient "
        "comes to them. Make nn.Embedding an attribute of the module.",
    )
    holds(
        not torch.allclose(before[1], after[1], atol=1e-6),
        "the layer that says how real a clip looks is left out of the optimiser: make it an attribute of the module.",
    )


@torch.no_grad()
def _reads(critic: nn.Module, features: nn.Module, clips: Tensor, ask: Callable) -> None:
    """Raise unless words add their vectors' product with the features, and the rest is linear in these."""
    holds(
        torch.allclose(ask(1), ask(1), atol=1e-6),
        "the same question had two answers: nothing in the critic is drawn by chance at each call.",
    )
    holds(
        torch.allclose(ask(0), ask(0, 0), atol=1e-5) and torch.allclose(ask(2), ask(2, 0), atol=1e-5),
        "word 0 adds something, or becomes something when it is trained: it stands for nothing. nn.Embedding has a "
        "padding_idx for that.",
    )
    x = features(clips)  # (B, size)
    alone = {word: ask(word) - ask(0) for word in range(1, _NUM_WORDS + 1)}
    holds(
        all(bool(added.abs().max() > 1e-6) for added in alone.values()),
        "some words change no score: there are words from 1 to num_words, so the table has num_words + 1 rows.",
    )
    for added in alone.values():
        holds(
            not torch.allclose(added, added[:1].expand_as(added), atol=1e-5),
            "a word adds the same to every clip, whatever is seen: its vector is to be *multiplied* with the "
            "features, and the products summed.",
        )
        vector = torch.linalg.lstsq(x, added[:, None]).solution
        holds(
            torch.allclose(x @ vector, added[:, None], atol=1e-3),
            "what a word adds is no product of the features with a vector of its own: sum features times vector, and "
            "nothing behind it.",
        )
    both = ask(1, 4) - ask(0)
    holds(
        not torch.allclose(both, (alone[1] + alone[4]) / 2, atol=1e-5),
        "the words' vectors are averaged: sum them.",
    )
    for index, word in enumerate((1, 4)):
        holds(
            not torch.allclose(both, alone[word], atol=1e-5),
            f"only the {('first', 'last')[index]} word is read: sum the vectors of all words.",
        )
    holds(torch.allclose(both, alone[1] + alone[4], atol=1e-4), "two words do not add what each adds: sum the vectors.")
    rows = torch.tensor([[1, 4], [2, 3]] * len(clips))[: len(clips)]
    mixed = torch.where(torch.arange(len(clips)) % 2 == 0, ask(1, 4), ask(2, 3))
    holds(torch.allclose(critic(clips, rows), mixed, atol=1e-5), "the captions of other clips have a say in a score.")
    line = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    plain = ask(0)[:, None]
    fitted = line @ torch.linalg.lstsq(line, plain).solution
    holds(
        torch.allclose(fitted, plain, atol=1e-3),
        "without words the score is not linear in the features: a linear layer, and nothing behind it.",
    )
    _slope_of_words(critic, features, clips, alone[3], x)


def _slope_of_words(critic: nn.Module, features: nn.Module, clips: Tensor, added: Tensor, x: Tensor) -> None:
    """Raise unless the gradient of what a word adds flows into the clips."""
    vector = torch.linalg.lstsq(x, added[:, None]).solution
    with torch.enable_grad():
        moved = clips.clone().requires_grad_()
        told = [critic(moved, torch.full((len(clips), 1), word)).sum() for word in (3, 0)]
        (came,) = torch.autograd.grad(told[0] - told[1], moved)
        (due,) = torch.autograd.grad((features(moved) @ vector).sum(), moved)
    holds(
        torch.allclose(came, due, rtol=1e-2, atol=1e-3),
        "what a word adds has no slope, or a wrong one, at the clips, and so the generator cannot learn from it: are "
        "the features detached?",
    )


class _Line(nn.Module):
    """A network of one layer; a critic's has one output, without its dimension."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size_in, size_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return x[:, 0] if x.shape[1] == 1 else torch.tanh(x)


def _turn_of(
    networks: tuple[nn.Module, nn.Module],
    real: list[Tensor],
    noise: list[Tensor],
    *,
    order: str = "ccg",
    noises: tuple[int, int, int] = (0, 1, 2),
    reals: tuple[int, int] = (0, 1),
    critic_sign: int = 1,
    generator_sign: int = 1,
    cut: bool = False,
    cleared: str = "cg",
    moved_too: str = "",
) -> tuple[Tensor, float]:
    """Take a turn with copies, right or with one of the usual mistakes; return all weights and the last loss.

    Args:
        networks: the generator and the critic, with gradients that were left over.
        real: the batches.
        noise: of the three steps.
        order: whose steps, c or g.
        noises: for the critic's first step, its second, and the generator's.
        reals: for the critic's two steps.
        critic_sign: -1 exchanges what it seeks.
        generator_sign: the same.
        cut: the generator's clips are detached.
        cleared: whose gradients are cleared before their own steps.
        moved_too: who moves in the other's steps as well.
    """
    generator, critic = networks = _copies(networks)
    optimisers = dict(zip("gc", (_optimiser(network) for network in networks), strict=True))
    lost, seen = 0.0, 0
    for who in order:
        for name, optimiser in optimisers.items():
            if (name == who and name in cleared) or (who == "c" and name == moved_too == "g"):
                optimiser.zero_grad()
        if who == "c":
            drawn = generator(noise[noises[seen]])
            scores = critic(real[reals[seen]]), critic(drawn if moved_too == "g" else drawn.detach())
            loss = hinge_critic_loss(*(critic_sign * score for score in scores))
            seen += 1
        else:
            drawn = generator(noise[noises[2]])
            loss = generator_sign * hinge_generator_loss(critic(drawn.detach() if cut else drawn))
            lost = loss.item()
        loss.backward()
        for name, optimiser in optimisers.items():
            if name in (who, moved_too):
                optimiser.step()
    return _weights(networks), lost


def _copies(networks: tuple[nn.Module, nn.Module]) -> tuple[nn.Module, nn.Module]:
    """Copy networks with their gradients."""
    copies = deepcopy(networks)
    for copy, network in zip(copies, networks, strict=True):
        for to, given in zip(copy.parameters(), network.parameters(), strict=True):
            to.grad = given.grad.clone()
    return copies


def _weights(networks: tuple[nn.Module, nn.Module]) -> Tensor:
    return torch.cat([one.detach().flatten() for network in networks for one in network.parameters()])


def _optimiser(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=0.3)


_TURNS: dict[str, dict[str, object]] = {
    "the generator was updated through detached clips: no gradient came to it, and only the critic learned": {
        "cut": True
    },
    "the critic's signs are exchanged: it pushes real clips down and drawn ones up": {"critic_sign": -1},
    "the generator's sign is exchanged: it seeks low scores": {"generator_sign": -1},
    "the critic took one step: two are asked for, on the first and on the second batch": {
        "order": "cg",
    },
    "the generator moved first: two steps of the critic, then one of the generator": {
        "order": "gcc",
    },
    "the generator took its step between the critic's two": {"order": "cgc"},
    "the critic's second step used the first noise again": {"noises": (0, 0, 2)},
    "the generator's step used noise of the critic's": {"noises": (0, 1, 1)},
    "the generator's step used the critic's first noise": {"noises": (0, 1, 0)},
    "the critic saw the first batch of real clips twice": {"reals": (0, 0)},
    "the critic saw the real batches in the wrong order": {"reals": (1, 0)},
    "the critic's gradients were never cleared: what was left over, and the first step's, count again": {
        "cleared": "g"
    },
    "the generator's gradients were not cleared: what was left over counts": {"cleared": "c"},
    "no gradients were cleared": {"cleared": ""},
    "the critic moved in the generator's step, too": {"moved_too": "c"},
    "the generator moved in the critic's steps, too: it learned to be scored low": {"moved_too": "g"},
}


def _turn(answer: object) -> None:
    chance = budget.generator(5)
    for B in (3, 6):
        torch.manual_seed(B)
        networks = _Line(2, 4), _Line(4, 1)
        real = [0.5 + 0.3 * torch.randn(B, 4, generator=chance) for _ in range(2)]
        noise = [torch.randn(B, 2, generator=chance) for _ in range(3)]
        for network in networks:
            for parameter in network.parameters():  # left over from what came before
                parameter.grad = torch.randn(parameter.shape, generator=chance)
        wanted, lost = _turn_of(networks, real, noise)
        usual = {words: _turn_of(networks, real, noise, **options)[0] for words, options in _TURNS.items()}
        usual["nothing was changed: call both optimisers' step()"] = _weights(networks)
        generator, critic = _copies(networks)
        result = answer(generator, critic, list(real), list(noise), _optimiser(generator), _optimiser(critic))
        same(
            _weights((generator, critic)),
            wanted,
            what="after the turn a weight",
            usual=_unlike(usual, wanted),
            look="twice: draw without gradient, clear, the critic's loss, backward, its step; once: clear, the "
            "generator's loss through the critic, backward, its step",
        )
        close(
            result.item() if isinstance(result, Tensor) and result.numel() == 1 else result,
            lost,
            what="what the generator lost in its step",
            look="minus the mean score of what it drew, before the step",
        )


EXERCISES = (
    Exercise(
        "08-codes",
        _codes,
        "one content for a clip, a fresh motion for every frame",
        (
            "Two draws: one with no frames in it, one with all of them. Then put them side by side.",
            "`torch.randn(num_clips, 1, content_size, generator=generator)` has one place for the frames; `expand` "
            "repeats it without drawing again.",
            "`torch.cat([content.expand(-1, num_frames, -1), motion], dim=2)`.",
        ),
        _draw_codes,
    ),
    Exercise(
        "08-hinge",
        _hinge,
        "yes for one kind, no for two, and both sides weigh the same",
        (
            "What does a real clip cost that is scored 0.5? And a drawn one? Section 2 has both.",
            "`F.relu` is max(0, .). A wrong caption is treated as a drawn clip is.",
            "`F.relu(1 - real).mean()`, and half of `F.relu(1 + drawn).mean() + F.relu(1 + wrong).mean()`.",
        ),
    ),
    Exercise(
        "08-norm",
        _norm,
        "one round, one number, and the u kept for the next time",
        (
            "The matrix has a row for each output: `weight.flatten(1)`. Section 3 has the round by hand.",
            "`F.normalize(..., dim=0)` makes a vector of length 1. First v from the u that was given, then the new u "
            "from v, both under `torch.no_grad()`.",
            "Outside of `no_grad`: `weight / (u @ matrix @ v)`, with the new u; and return that u as well.",
        ),
    ),
    Exercise(
        "08-penalty",
        _penalty,
        "the squared slope at what is real, ready to be differentiated once more",
        (
            "`torch.autograd.grad(scores.sum(), clips, create_graph=True)` gives a tuple with the slope at each clip.",
            "The clips have to require a gradient, and those that were given must not be changed: "
            "`real.detach().clone().requires_grad_()`.",
            "`slope.square().flatten(1).sum(dim=1).mean()`, times `gamma / 2`.",
        ),
    ),
    Exercise(
        "08-critic",
        _critic,
        "it reads every word, and all that is to learn is among its parameters",
        (
            "A class that inherits from nn.Module, inside your function; what is an attribute of it and a module is "
            "found by `parameters()`.",
            "Three attributes: the features, `nn.Linear(size, 1)`, and `nn.Embedding(num_words + 1, size, "
            "padding_idx=0)`.",
            "In forward: `x = self.features(clips)`, then `self.real(x)[:, 0] + (x * "
            "self.word(words).sum(dim=1)).sum(dim=1)`.",
        ),
    ),
    Exercise(
        "08-turn",
        _turn,
        "each step moved the network whose turn it was, and no other",
        (
            "Five things in each step: draw, clear the gradients of the optimiser whose turn it is, the loss, "
            "backward, its step.",
            "In the critic's steps the clips are drawn under `torch.no_grad()`. In the generator's they are not, and "
            "nothing is detached: the gradient has to pass through the critic.",
            "The generator's step: `loss = hinge_generator_loss(critic(generator(noise[2])))`, after "
            "`generator_optimiser.zero_grad()`; then backward, step, and `return loss`.",
        ),
    ),
)
