"""The experiment of chapter 07: does a sprite stay itself where no frame in view shows it?

What a sprite is and where it is are kept apart. Where: its path, which the law of motion gives from the first two
frames. What: that has to come from the frames in the window, or from the context; there is no other way in.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from course import budget
from course.datasets import sprites
from course.datasets.captions import ALL, TRAINED, Combination
from course.datasets.sprites import OCCLUDER, RADIUS, SpriteConfig
from course.evaluation.judge import Verdict, judge, read
from course.generation.rollout import rollout
from course.models.context import ContextConfig, ContextPredictor
from course.recipes.making import make_checkpoint
from course.training.checkpoint import Card, Resume, load
from course.training.loop import History, TrainConfig, step_generator, train

CONTEXT_MODELS: dict[str, ContextConfig] = {
    "none": ContextConfig(way="none"),
    "local": ContextConfig(way="every", local=True),
    "input": ContextConfig(way="input"),
    "every level": ContextConfig(way="every"),
    "attention": ContextConfig(way="attention"),
}
"""Ways to tell a predictor what it is to draw. ``"local"`` is ``"every level"`` with a context of the last frames."""
NUM_GIVEN = 4
"""First frames of a clip that are given; the global context is made of them."""
NUM_RETURN = 12
"""Frames of an occlusion scene that are left, at least, when the sprite comes out again."""
NUM_UNROLLED = 4
"""Frames that a training step predicts in a row, each from those that it predicted before."""
STAINS = 0.1
"""Deviation of the soft stains on the frames that a training step begins with.

A network's own frames are never clean. One that was given only clean ones may turn a small error into a larger one, and
that into a larger one still, for as long as a clip is drawn.
"""
DROPPED = 0.1
"""Share of the clips that are trained without their context."""
BATCH_SIZE, LEARNING_RATE, NUM_STEPS = 48, 4e-3, 1500

STRAIGHT = ("left", "right", "up", "down")
ACROSS = ("left", "right")
_TRAINED_FRAMES = 24


def _along(combinations: Sequence[Combination], *motions: str) -> list[Combination]:
    return [combination for combination in combinations if combination.motion in motions]


# Training


@dataclass(frozen=True, kw_only=True)
class ContextRun:
    """One training.

    Attributes:
        model: one of ``CONTEXT_MODELS``.
        seed: of the weights and of the clips.
        num_steps: of the training.
        dropped: share of the clips that are trained without their context.
    """

    model: str
    seed: int
    num_steps: int = NUM_STEPS
    dropped: float = DROPPED


CONTEXT_RUNS: tuple[ContextRun, ...] = tuple(
    [ContextRun(model=model, seed=seed) for model in CONTEXT_MODELS for seed in budget.SEEDS]
    + [ContextRun(model="input", seed=seed, num_steps=2 * NUM_STEPS) for seed in budget.SEEDS]
)
"""The trainings whose results come with the course: see ``checkpoint_name``."""


@dataclass(frozen=True)
class ContextBatch:
    """Pieces of clips, what came first in those clips, and whether it is to be told.

    Attributes:
        frames: (B, window + NUM_UNROLLED, 3, 16, 16); those of the window are stained.
        path: (B, window + NUM_UNROLLED, 2), pixels.
        first: (B, NUM_GIVEN, 3, 16, 16), of the same clips.
        given: (B,), False where the context is left out.
    """

    frames: Tensor
    path: Tensor
    first: Tensor
    given: Tensor


def checkpoint_name(run: ContextRun) -> str:
    """Return the name under which the result of a training is kept."""
    long = "" if run.num_steps == NUM_STEPS else f"_{run.num_steps}_steps"
    return f"context_{run.model.replace(' ', '_')}{long}_{run.seed}"


def context_model(name: str) -> ContextPredictor:
    """Return an untrained model."""
    if name not in CONTEXT_MODELS:
        raise ValueError(f"model: wanted one of {', '.join(CONTEXT_MODELS)}, got {name!r}")
    return ContextPredictor(CONTEXT_MODELS[name])


def context_batch(
    seed: int, step: int, *, window: int = 2, batch_size: int = BATCH_SIZE, dropped: float = DROPPED
) -> ContextBatch:
    """Return the batch of a training step: half of it without a board, half of it with one.

    Of the clips with a board, every other one (on average) is entered where it hides the sprite, since few pieces would
    ask for a look that is out of view otherwise. No frame that is to be predicted is among those that the context is
    made of.

    Args:
        seed: of the training.
        step: at least 0; the batch is a function of the seed and the step alone.
        window: frames that the model sees.
        batch_size: an even number.
        dropped: share of the clips whose context is left out.
    """
    generator = step_generator(seed, step)
    half, length = batch_size // 2, window + NUM_UNROLLED
    parts = [
        sprites.sample(
            half,
            generator=generator,
            combinations=_along(TRAINED, *motions),
            config=SpriteConfig(num_frames=_TRAINED_FRAMES, occluder=occluder),
        )
        for motions, occluder in ((STRAIGHT, False), (ACROSS, True))
    ]
    clips = torch.cat([part.clips for part in parts])
    path = torch.cat([part.state.position for part in parts])
    pieces = torch.arange(max(0, NUM_GIVEN - window), _TRAINED_FRAMES - length + 1)[:, None] + torch.arange(length)
    behind = hidden(path[:, pieces[:, window - 1]])  # (B, pieces): the last frame that is seen shows the board alone
    behind &= (torch.arange(batch_size) >= half)[:, None] & (torch.rand(batch_size, 1, generator=generator) < 0.5)
    piece = (torch.rand(behind.shape, generator=generator) + behind).argmax(dim=1)  # (B,)
    chosen = torch.arange(batch_size)[:, None], pieces[piece]
    frames = clips[chosen]
    stains = torch.randn(batch_size * window, 3, 4, 4, generator=generator)
    stains = F.interpolate(stains, scale_factor=4, mode="bilinear").unflatten(0, (batch_size, window))
    frames[:, :window] = (frames[:, :window] + STAINS * stains).clamp(0, 1)
    given = torch.rand(batch_size, generator=generator) >= dropped
    return ContextBatch(frames, path[chosen], clips[:, :NUM_GIVEN], given)


def context_loss(model: ContextPredictor, batch: ContextBatch) -> Tensor:
    """Return the squared error, summed over a frame's pixels, of frames that are predicted in a row, in closed loop.

    As a mean over pixels it would be so small that no gradient ever reached the norm to which longer ones are cut, and
    one bad batch could undo a training.
    """
    window, context = model.config.window, model.context(batch.first, batch.given)
    frames = batch.frames[:, :window]
    for t in range(window, batch.frames.shape[1]):
        following = model(frames[:, -window:], batch.path[:, t - window : t + 1], context)
        frames = torch.cat([frames, following], dim=1)
    return (frames[:, window:] - batch.frames[:, window:]).square().sum(dim=(2, 3, 4)).mean()


def train_context(run: ContextRun, *, resume: Resume | None = None) -> tuple[ContextPredictor, History]:
    """Train one model; return it in evaluation mode, with what the training went through.

    Args:
        run: which one.
        resume: where the state of the training is kept, if it is to go on after an interruption.
    """
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        model = context_model(run.model)

    def batch(step: int) -> ContextBatch:
        return context_batch(run.seed, step, window=model.config.window, dropped=run.dropped)

    config = TrainConfig(num_steps=run.num_steps, learning_rate=LEARNING_RATE)
    history = train(model, batch, context_loss, config, resume=resume)
    return model.eval(), history


# Scenes to continue


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Clips whose first frames are given, and which are to be continued.

    Attributes:
        clips: (B, T, 3, 16, 16), the truth.
        path: (B, T, 2), pixels, as it follows from the first two frames.
        captions: B sentences.
        config: how the clips were rendered.
        back: (B,), the first frame in which the sprite comes out again, or None if it is never hidden.
    """

    clips: Tensor
    path: Tensor
    captions: list[str]
    config: SpriteConfig
    back: Tensor | None = None

    @property
    def given(self) -> Tensor:
        """(B, NUM_GIVEN, 3, 16, 16), all that a model is shown of the clips."""
        return self.clips[:, :NUM_GIVEN]


def hidden(path: Tensor, size: int = 16) -> Tensor:
    """Say of each place, (..., 2) in pixels, whether a sprite there is hidden by the board completely; (...)."""
    return path[..., 1] >= (OCCLUDER + RADIUS) * size


def path_ahead(frames: Tensor, num_frames: int, *, config: SpriteConfig) -> Tensor:
    """Follow the law of motion from the first two frames: on with the same speed along one axis, back at the walls.

    Args:
        frames: (B, 2 or more, 3, size, size); the sprite is in full view in the first two, and does not bounce there.
        num_frames: frames to follow it for, counted from the first.
        config: whether there is an occluder.

    Returns:
        (B, num_frames, 2), pixels.
    """
    seen = read(frames[:, :2], config=config).position / config.size  # (B, 2, 2)
    step = seen[:, 1] - seen[:, 0]
    step = step * (step.abs() == step.abs().amax(dim=1, keepdim=True))  # the smaller part is an error of reading
    steps = torch.arange(num_frames)[:, None] * step.sign()[:, None]  # (B, num_frames, 2)
    return sprites.straight_path(seen[:, 0], step.abs().sum(dim=1), steps) * config.size


def occlusion_scene(num_clips: int, *, seed: int, window: int = 2) -> Scene:
    """Make clips of 32 frames in which a board hides the sprite for longer than a window, and which show it again.

    Args:
        num_clips: at least 1.
        seed: of the clips.
        window: frames that a model sees; at least one more is all board.
    """
    config = SpriteConfig(num_frames=32, occluder=True)
    drawn = sprites.sample(
        4 * num_clips, generator=budget.generator(seed), combinations=_along(ALL, *ACROSS), config=config
    )
    behind = hidden(drawn.state.position)  # (4 * num_clips, T)
    gone = behind.long().argmax(dim=1)
    time = torch.arange(config.num_frames)
    back = (~behind & (time > gone[:, None])).long().argmax(dim=1)
    long_enough = (back - gone > window) & (back <= config.num_frames - NUM_RETURN)
    fits = (behind.any(dim=1) & long_enough).nonzero().flatten()[:num_clips]
    clips = drawn.clips[fits]
    return Scene(
        clips=clips,
        path=path_ahead(clips[:, :2], config.num_frames, config=config),
        captions=[drawn.captions[i] for i in fits.tolist()],
        config=config,
        back=back[fits],
    )


def bouncing_scene(num_clips: int, *, seed: int, num_frames: int = 64) -> Scene:
    """Make clips without a board, long enough to bounce several times."""
    config = SpriteConfig(num_frames=num_frames)
    drawn = sprites.sample(
        num_clips, generator=budget.generator(seed), combinations=_along(ALL, *STRAIGHT), config=config
    )
    path = path_ahead(drawn.clips[:, :2], num_frames, config=config)
    return Scene(clips=drawn.clips, path=path, captions=drawn.captions, config=config)


@torch.no_grad()
def continue_scene(model: ContextPredictor, scene: Scene, *, first: Tensor | None = None, told: bool = True) -> Tensor:
    """Continue clips from the frames that are given.

    Args:
        model: trained or not.
        scene: what to continue.
        first: (B, K, 3, 16, 16), frames to make the context of; None for those that are given.
        told: False to leave all contexts out.

    Returns:
        (B, T, 3, 16, 16): the given frames, and what the model makes of the rest.
    """
    window = model.config.window
    context = model.context(scene.given if first is None else first, torch.full((len(scene.clips),), told))

    def step(frames: Tensor) -> Tensor:
        t = frames.shape[1]
        following = model(frames[:, -window:], scene.path[:, t - window : t + 1], context)
        return torch.cat([frames[:, 1:], following], dim=1)

    return torch.cat([scene.given, rollout(step, scene.given, scene.config.num_frames - NUM_GIVEN)], dim=1)


def judge_scene(clips: Tensor, scene: Scene) -> Verdict:
    """Judge continued clips, whole."""
    return judge(clips, scene.captions, config=scene.config)


def after_hiding(clips: Tensor, scene: Scene) -> Tensor:
    """Cut out of clips of an occlusion scene what comes after the board: (B, NUM_RETURN, 3, 16, 16)."""
    return clips[torch.arange(len(clips))[:, None], scene.back[:, None] + torch.arange(NUM_RETURN)]


# Checkpoints


def context_checkpoint(path: Path, run: ContextRun, *, command: str) -> Card:
    """Train and test a model, and keep it with its card; what is there already is not made again.

    The state of the training is kept beside it until it is finished, so that one that was interrupted goes on.

    Args:
        path: of the weights, NAME.safetensors.
        run: which training.
        command: what makes the checkpoint again, for the card.

    Raises:
        ValueError: if a file that is there is damaged, or is another training's.
    """
    recipe = (
        f"{run.model}: {run.num_steps} steps on batches of {BATCH_SIZE}, {NUM_UNROLLED} frames in a row, "
        "squared error summed over a frame, "
        f"learning rate {LEARNING_RATE:g}, stains of {STAINS:g}, {run.dropped:.0%} of the contexts left out"
    )
    return make_checkpoint(
        path,
        recipe=recipe,
        seed=run.seed,
        config=asdict(CONTEXT_MODELS[run.model]),
        data="sprites that move straight on, 24 frames, half of the clips with a board; rendered as they are used",
        command=command,
        train=lambda resume: train_context(run, resume=resume),
        measure=_metrics,
    )


def _metrics(model: ContextPredictor) -> dict[str, float]:
    """Return what the judge says of 100 clips of each scene."""
    scenes = {"occlusion": occlusion_scene(100, seed=7000), "64 frames": bouncing_scene(100, seed=7001)}
    return {
        f"{name}, {scene_name}": value
        for scene_name, scene in scenes.items()
        for name, value in judge_scene(continue_scene(model, scene), scene).rates().items()
        if name in ("identity", "motion", "valid")
    }


def load_context(folder: Path, run: ContextRun) -> ContextPredictor:
    """Load what ``context_checkpoint`` kept in a folder, under the name of the run."""
    path = folder / f"{checkpoint_name(run)}.safetensors"
    return load(path, lambda config: ContextPredictor(ContextConfig(**config)))
