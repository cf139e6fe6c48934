"""Adversarial training: a generator and critics take turns, each at a loss that the other moves.

The critics learn to score real clips above 1 and generated ones below -1 (the hinge loss); the generator learns to be
scored high. The losses say who is ahead, not how good the clips are: for that there is the judge.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import distributed
from course.training.checkpoint import Resume
from course.training.ema import EMA
from course.training.loop import History, TrainConfig, expect_finite, steps

Batch = TypeVar("Batch")


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(TrainConfig):
    """How a generator and its critics are trained: by Adam without a first moment.

    A first moment, the memory of where the last steps went, makes two that answer one another swing.

    Attributes:
        critic_rate: the critics' learning rate, as a multiple of the generator's.
        second_moment: share of Adam's second moment that is kept at each step.
        penalty_interval: a penalty is taken once in so many steps and counts so many times as much.
    """

    weight_decay: float = 0.0
    max_norm: float = 10.0
    critic_rate: float = 1.0
    second_moment: float = 0.99
    penalty_interval: int = 16


@dataclass
class AdversarialHistory(History):
    """What both went through: ``losses`` are the critics', without the penalty."""

    generator_losses: list[float] = field(default_factory=list)


def hinge_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return what scores cost a critic: real ones below 1 and generated ones above -1.

    A score that is right by a margin of 1 costs nothing and is not pushed on.

    Args:
        real: scores of real clips, of any shape.
        fake: scores of generated clips.

    Paper:
        Lim and Ye 2017 (Geometric GAN), arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957, eq. 16.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """Return what scores of generated clips cost the generator: all that they are not higher, without a margin.

    Paper:
        Miyato et al. 2018, arXiv 1802.05957, eq. 17.
    """
    return -fake.mean()


def mismatch_loss(right: Tensor, wrong: Tensor, unlike: Tensor) -> Tensor:
    """Return what pairs of captions cost a critic, for real clips: the right one below 1 and the wrong one above -1.

    A critic that is asked only for real or generated may learn what clips look like long before it learns to read.
    Real clips with their own captions are counted once more, beside the wrong ones: a critic could otherwise be content
    to score everything below -1.

    Args:
        right: (N, 1), scores of real clips with their captions.
        wrong: (N, K), scores of the same clips with other captions.
        unlike: (N, K), False where the other caption is right after all: that is no pair.

    Returns:
        The mean over all pairs; 0 if there is none.

    Paper:
        Reed et al. 2016, arXiv 1605.05396, section 4.2 (wrong captions count as generated clips do), here with the
        hinge.
    """
    pairs = F.relu(1 - right) + F.relu(1 + wrong)  # (N, K)
    num_pairs = distributed.mean(unlike.sum())  # not every worker has as many
    return (pairs * unlike).sum() / num_pairs.clamp(min=1 / distributed.num_workers())


def mode_seeking_loss(clips: Tensor, noise: Tensor) -> Tensor:
    """Return how alike clips of the same caption are, for noise that differs: less is better, down to -infinity.

    A generator that draws one good clip for each caption, whatever the noise, is not found out by critics that look at
    one clip at a time: they only learn to like that clip a little less, and it wanders on to the next. Here two clips
    are compared.

    Args:
        clips: (B, ...), generated; the second half is drawn for the captions of the first.
        noise: (B, N), that they were drawn from.

    Raises:
        ValueError: for an odd number of clips, as a worker has whose share divides a pair.

    Paper:
        Mao et al. 2019, arXiv 1903.05628, with its sign turned.
    """
    if len(clips) % 2:
        raise ValueError(
            "clips: wanted pairs of one caption, an even number for each worker, "
            f"got {len(clips)} for each of {distributed.num_workers()}"
        )
    (one, other), (noise_one, noise_other) = clips.flatten(1).chunk(2), noise.chunk(2)
    return -((one - other).abs().mean(dim=1) / (noise_one - noise_other).abs().mean(dim=1)).mean()


def r1_penalty(score: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Return the squared slope of a critic at real clips, averaged over these.

    Where the generator has come to, a critic that goes on rising would push it away again: with the slope taken from
    it at what is real, both can come to rest.

    Args:
        score: from clips to scores; those of one clip must not depend on another.
        real: (B, ...), real clips.

    Returns:
        A scalar that can be differentiated once more; the paper's penalty is gamma / 2 times this.

    Paper:
        Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, eq. 9.
    """
    real = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(real).sum(), real, create_graph=True)
    return slope.flatten(1).square().sum(dim=1).mean()


def train_adversarial(
    generator: nn.Module,
    critics: nn.Module,
    batches: Iterable[Batch] | Callable[[int], Batch],
    draw: Callable[[nn.Module, Batch], Tensor],
    critic_loss: Callable[[nn.Module, Batch, Tensor], Tensor],
    generator_loss: Callable[[nn.Module, Batch, Tensor], Tensor],
    config: AdversarialConfig,
    *,
    penalty: Callable[[nn.Module, Batch], Tensor] | None = None,
    ema: EMA | None = None,
    resume: Resume | None = None,
) -> AdversarialHistory:
    """Train a generator and its critics in place, by turns, until the budget is spent or the batches end.

    With ``resume`` a training that was interrupted goes on to the last bit, and several workers share it, as in
    ``loop.train``.

    Args:
        generator: its parameters are changed.
        critics: their parameters are changed.
        batches: one for each step, or a function from the step to its batch.
        draw: from the generator and a batch to generated clips.
        critic_loss: from the critics, a batch and generated clips, through which no gradient flows, to a scalar.
        generator_loss: from the critics, a batch and generated clips, through which it flows, to a scalar.
        config: how, and for how long.
        penalty: what is added to the critics' loss once in ``penalty_interval`` steps; all three are means over the
            clips.
        ema: of the generator, is updated after each step.
        resume: where the state is kept. Saving is not part of the cost.

    Returns:
        The losses of both and the cost.

    Raises:
        ValueError: if a loss is no longer a finite number, or there is a state that is damaged or another training's.
    """
    models = {"generator": generator, "critics": critics}
    rates = {"generator": 1.0, "critics": config.critic_rate}
    optimisers = {
        name: torch.optim.AdamW(
            model.parameters(), betas=(0.0, config.second_moment), weight_decay=config.weight_decay, fused=True
        )
        for name, model in models.items()
    }
    state = {
        "modules": models | ({} if ema is None else {"ema": ema}),
        "optimisers": {f"{name} optimiser": optimiser for name, optimiser in optimisers.items()},
        "run": {"config": asdict(config), "ema decay": ema and ema.decay, "run": resume and dict(resume.run)},
    }
    history = AdversarialHistory()
    for step, batch, rate in steps(batches, config, history, state=state, resume=resume):

        def update(name: str, loss: Tensor, rate: float = rate, step: int = step) -> None:
            expect_finite(distributed.mean(loss), step)
            optimiser = optimisers[name]
            optimiser.param_groups[0]["lr"] = rate * rates[name]
            optimiser.zero_grad()
            loss.backward()
            distributed.average_gradients(models[name])
            nn.utils.clip_grad_norm_(models[name].parameters(), config.max_norm)
            optimiser.step()

        with torch.no_grad():
            fake = draw(generator, batch)
        loss = critic_loss(critics, batch, fake)
        history.losses.append(distributed.mean(loss).item())
        if penalty is not None and step % config.penalty_interval == 0:
            loss = loss + config.penalty_interval * penalty(critics, batch)
        update("critics", loss)

        critics.requires_grad_(False)  # the gradient goes through them to the generator, and stops at none of them
        loss = generator_loss(critics, batch, draw(generator, batch))
        history.generator_losses.append(distributed.mean(loss).item())
        update("generator", loss)
        critics.requires_grad_(True)
        if ema is not None:
            ema.update(generator)
    return history
