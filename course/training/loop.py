"""The training loop of the course: AdamW, a warm-up, a slow end, and a budget of steps or of CPU seconds."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from course import budget, distributed
from course.training.checkpoint import Resume, load_state, save_state
from course.training.ema import EMA

Batch = TypeVar("Batch")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained. Exactly one of the two budgets is given.

    Attributes:
        num_steps: stop after this many steps; the result does not depend on the machine.
        cpu_seconds: stop when the process has spent this much CPU time, all threads together, or all workers have
            together. For a comparison at equal compute.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        warmup_steps: steps in which the learning rate rises from nothing.
        max_norm: gradients whose norm, over all parameters, is larger are scaled down to it.
    """

    num_steps: int | None = None
    cpu_seconds: float | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_steps: int = 50
    max_norm: float = 1.0

    def __post_init__(self) -> None:
        """Check that there is one budget, and that it is positive."""
        budgets = [budget for budget in (self.num_steps, self.cpu_seconds) if budget is not None]
        if len(budgets) != 1 or budgets[0] <= 0:
            raise ValueError(
                f"wanted num_steps or cpu_seconds, one of them and above 0, got {self.num_steps} and {self.cpu_seconds}"
            )

    def rate(self, step: int, spent: float) -> float:
        """Return the learning rate: up in the warm-up, level, and down to nothing in the second half of the budget."""
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps), 2 * (1 - spent))


@dataclass
class History:
    """What a training went through: the loss of each step, and the CPU seconds that all of them took."""

    losses: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the source of chance of one step: with it, a batch is a function of the seed and the step alone.

    Args:
        seed: of the training, at least 0.
        step: at least 0.
    """
    # A torch.Generator on the CPU reads 32 bits of its seed, so that seed and step have to be mixed into these.
    (mixed,) = np.random.SeedSequence(seed, spawn_key=(step,)).generate_state(1)
    return budget.generator(int(mixed))


def train(
    model: nn.Module,
    batches: Iterable[Batch] | Callable[[int], Batch],
    loss_fn: Callable[[nn.Module, Batch], Tensor],
    config: TrainConfig,
    *,
    ema: EMA | None = None,
    resume: Resume | None = None,
) -> History:
    """Train a model in place until the budget is spent or the batches end.

    With ``resume``, the state is saved now and then, and a training that finds its state goes on from there: weights
    and losses are, to the last bit, those of a training that nothing interrupted. Chance inside the model, as in
    dropout, has to come from torch's own generator, which is saved too.

    With several workers (``course.distributed``) each takes its share of a batch, and the weights are, up to rounding,
    those of one worker. They may be fewer or more when a training goes on: the first one keeps the state for all.

    Args:
        model: its parameters are changed.
        batches: one for each step, or a function from the step, 0 or more, to its batch, as ``resume`` needs it (see
            ``step_generator``); making them counts as part of the cost.
        loss_fn: from the model and a batch to a scalar, a mean over the clips.
        config: how, and for how long.
        ema: is updated after each step.
        resume: where the state is kept. Saving is not part of the cost.

    Returns:
        The losses and the cost, with what was spent before an interruption.

    Raises:
        ValueError: if the loss is no longer a finite number, there is a state that is damaged or another training's, or
            a batch cannot be shared evenly.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    state = {
        "modules": {"model": model} | ({} if ema is None else {"ema": ema}),
        "optimisers": {"optimiser": optimiser},
        "run": {"config": asdict(config), "ema decay": ema and ema.decay, "run": resume and dict(resume.run)},
    }
    history = History()
    for step, batch, rate in steps(batches, config, history, state=state, resume=resume):
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = loss_fn(model, batch)
        whole_loss = distributed.mean(loss)
        expect_finite(whole_loss, step)
        optimiser.zero_grad()
        loss.backward()
        distributed.average_gradients(model)
        nn.utils.clip_grad_norm_(model.parameters(), config.max_norm)
        optimiser.step()
        if ema is not None:
            ema.update(model)
        history.losses.append(whole_loss.item())
    return history


def steps(
    batches: Iterable[Batch] | Callable[[int], Batch],
    config: TrainConfig,
    history: History,
    *,
    state: Mapping[str, Mapping[str, object]],
    resume: Resume | None,
) -> Iterator[tuple[int, Batch, float]]:
    """Yield the number, the batch and the learning rate of each step, until the budget is spent or the batches end.

    The loop that takes them appends a loss to the history in each step; cost, saving and going on are seen to here, and
    that each of several workers gets its share. What all of them spend is the cost, so that they stop at the same step.

    Args:
        batches: as of ``train``.
        config: the budget and the learning rate.
        history: is filled with what was kept, and with the cost of each step after it.
        state: modules, optimisers and run, as of ``save_state``.
        resume: where the state is kept.

    Raises:
        ValueError: if there is a state that is damaged or another training's, or a training that is to resume has
            batches that cannot be asked for by step.
    """
    if resume and not callable(batches):
        raise ValueError(f"batches: to resume, wanted a function from the step to its batch, got {type(batches)}")
    modules = state["modules"].values()
    distributed.place(*modules)
    if resume and distributed.from_first(resume.path.exists):
        vars(history).update(load_state(resume.path, **state))

    def keep() -> None:
        if distributed.rank() == 0:
            save_state(resume.path, history=asdict(history), **state)

    first, saved = len(history.losses), history.cpu_seconds
    start = time.process_time() - history.cpu_seconds / distributed.num_workers()
    for step, batch in enumerate(map(batches, count(first)) if callable(batches) else batches, start=first):
        spent = step / config.num_steps if config.num_steps else history.cpu_seconds / config.cpu_seconds
        if spent >= 1:
            break
        yield step, distributed.share(batch), config.rate(step, spent)
        history.cpu_seconds = distributed.summed(torch.tensor(time.process_time() - start, dtype=torch.double)).item()
        if resume and history.cpu_seconds - saved >= resume.every_seconds:
            keep()
            saved = history.cpu_seconds
            start = time.process_time() - saved / distributed.num_workers()
    if resume:
        keep()
    distributed.take_back(*modules)


def expect_finite(loss: Tensor, step: int) -> None:
    """Raise unless the loss of a step is a finite number."""
    if not loss.isfinite():
        raise ValueError(f"the loss of step {step} is {loss.item()}: a smaller learning_rate may keep it finite")
