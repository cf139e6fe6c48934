"""Few steps, taught: a student learns to say at once where its teacher's long walk ends (chapter 09).

The teacher is a trained denoiser. From a clip under noise it walks down to a clean one, guided, in many small steps.
The student begins as a copy of it and sees the same noisy clip, and its answer is compared with the clip in which the
walk ended. The teacher's own answer is the mean of all clips that might be under the noise, a fog; a walk ends at one
of them. Since the walk is guided, the student has guidance in its weights, and is asked once a step where the teacher,
guided, is asked twice.

Most of the student is not trained at all. It learns only to hear its condition, noise step and words, in another way:
that is an eighth of the weights, and what a checkpoint keeps.

Paper:
    Luhman and Luhman 2021, arXiv 2101.02388 (to learn where a deterministic walk ends); Meng et al. 2022, arXiv
    2210.03142 (with guidance in it); Song et al. 2023, arXiv 2303.01469, algorithm 1 (answer, put noise over the
    answer, ask again; there all of that noise is fresh, here most of it). Imagen Video, arXiv 2210.02303, section 2.7,
    is distilled by halving the number of steps again and again (Salimans and Ho 2022, arXiv 2202.00512), which takes
    several trainings; here is one.
"""

import copy
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from course.budget import one_thread
from course.datasets import sprites
from course.datasets.captions import TRAINED
from course.diffusion.guidance import guided
from course.diffusion.samplers import euler, noise_steps
from course.diffusion.schedule import Flow, diffuse, to_signed
from course.layers.conditioning import AdaptiveGroupNorm
from course.models.denoiser import Condition, ConditionEncoder
from course.recipes.denoising import GUIDANCE, INTERVAL, NoisyBatch, batch_loss, told
from course.recipes.making import make_checkpoint
from course.recipes.text_to_clip import WORLD, text_metrics
from course.training.checkpoint import Card, Resume, load
from course.training.ema import EMA
from course.training.loop import History, TrainConfig, step_generator, train

NUM_STEPS = 4
"""Of the student's sampler; the noise steps that it visits are the only ones that it is trained on."""
FEW = {"num_steps": NUM_STEPS, "guidance": 1.0}
"""How ``draw`` asks a student."""
MANY = 50
"""Steps of the teacher, guided, with which a student is compared."""
WALK_STEPS = 16
"""Of a teacher's walk from noise alone; one that begins at s has s times as many. A multiple of ``NUM_STEPS``."""
WINDOW, TIMES = 64, 4
"""Walks are dear: so many lessons are gone through so many times before the next ones are walked."""
SHARES = (8, 4, 2, 2)
"""Clips of a lesson at each noise step of the sampler: what is hardest to answer, and decides most, is noise alone."""
LEARNING_RATE, EMA_DECAY = 3e-3, 0.99


@dataclass(frozen=True, kw_only=True)
class StudentRun:
    """One training of a student.

    Attributes:
        seed: of the noisy clips that it is shown; the teacher is the one that was trained with this seed.
        cpu_seconds: the budget, of process CPU time.
    """

    seed: int
    cpu_seconds: float

    @property
    def recipe(self) -> str:
        """All that the training depends on beside the seed and the teacher."""
        return (
            f"text to clip in {NUM_STEPS} steps, taught by text to clip, U-Net: {self.cpu_seconds:g} CPU seconds, "
            f"walks of {WALK_STEPS} steps with a guidance of {GUIDANCE:g}, gone through {TIMES} times, batches of "
            f"{' + '.join(map(str, SHARES))}, learning rate {LEARNING_RATE:g}, weights averaged with {EMA_DECAY:g}, "
            f"errors weighed by 1 / noise_step"
        )


def lesson(seed: int, index: int) -> NoisyBatch:
    """Return what a lesson is made of: clips, (16, 8, 3, 16, 16), with captions, and noise apart; no answers yet.

    At each of the student's noise steps there are as many clips as ``SHARES`` says; no word is left out.

    Args:
        seed: of the training.
        index: of the lesson, at least 0.
    """
    chance = step_generator(seed, index)
    drawn = sprites.sample(sum(SHARES), generator=chance, config=WORLD, combinations=TRAINED)
    clean = to_signed(drawn.clips)
    levels = noise_steps(NUM_STEPS)[:-1].repeat_interleave(torch.tensor(SHARES))  # (B,)
    return NoisyBatch(clean, told(drawn.captions), levels, torch.randn(clean.shape, generator=chance))


def end_of_walk(teacher: nn.Module, noisy: Tensor, noise_step: Tensor, condition: Condition) -> Tensor:
    """Return the clips in which the teacher's guided walks end, without fresh noise.

    Args:
        teacher: a denoiser that was trained with some captions left out.
        noisy: (B, T, C, H, W).
        noise_step: (B,), where each clip's walk begins: multiples of 1 / ``WALK_STEPS``.
        condition: of the same clips.

    Returns:
        (B, T, C, H, W), values in [-1, 1].

    Raises:
        ValueError: for another noise step.
    """
    steps = noise_steps(WALK_STEPS).to(noise_step)
    if not torch.isin(noise_step, steps).all():
        raise ValueError(f"noise_step: wanted multiples of 1 / {WALK_STEPS}, from 0 to 1, got {noise_step.tolist()}")
    ends = torch.empty_like(noisy)
    for begin in noise_step.unique():
        at = noise_step == begin
        denoise = guided(teacher, GUIDANCE, condition[at].without_words(), interval=INTERVAL)
        ends[at] = euler(denoise, noisy[at], condition[at], steps=steps[steps <= begin])
    return ends


def hearing(network: nn.Module) -> nn.ModuleDict:
    """Return the parts of a denoiser that hear its condition, each itself and no copy: what a student learns."""
    kinds = (ConditionEncoder, AdaptiveGroupNorm)
    return nn.ModuleDict(
        {name.replace(".", "_"): part for name, part in network.named_modules() if isinstance(part, kinds)}
    )


def train_student(run: StudentRun, teacher: nn.Module, *, resume: Resume | None = None) -> tuple[nn.Module, History]:
    """Train a student on one thread; return it with averaged weights, and what the training went through.

    Args:
        run: which one.
        teacher: is left as it is.
        resume: where the state of the training is kept, if it is to go on after an interruption.
    """
    teacher = copy.deepcopy(teacher).requires_grad_(False)
    student = copy.deepcopy(teacher)
    hearing(student).requires_grad_()
    ema = EMA(student, EMA_DECAY)
    config = TrainConfig(cpu_seconds=run.cpu_seconds, learning_rate=LEARNING_RATE)

    @lru_cache(maxsize=WINDOW)
    def taught(index: int) -> NoisyBatch:
        batch = lesson(run.seed, index)
        noisy = diffuse(batch.clean, batch.epsilon, batch.noise_step, Flow())
        return replace(batch, wanted=end_of_walk(teacher, noisy, batch.noise_step, batch.condition))

    def batch(step: int) -> NoisyBatch:
        window, place = divmod(step, WINDOW * TIMES)
        return taught(window * WINDOW + place % WINDOW)

    with one_thread():
        history = train(student, batch, batch_loss, config, ema=ema, resume=resume)
    return ema.average.eval(), history


def student_checkpoint(path: Path, run: StudentRun, teacher: nn.Module, *, command: str) -> Card:
    """Train and test a student, and keep what it has learned with its card; see ``making.make_checkpoint``.

    Raises:
        ValueError: if a file that is there is damaged, or is another training's.
    """

    def measure(parts: nn.ModuleDict) -> dict[str, float]:
        found = text_metrics(_with(parts.state_dict(), teacher), **FEW)
        for num_steps in (NUM_STEPS, MANY):
            rates = text_metrics(teacher, num_each=10, num_steps=num_steps)
            found |= {f"{of}, teacher in {num_steps} steps": rates[of] for of in ("caption, all", "caption, held out")}
        return found

    def teach(resume: Resume) -> tuple[nn.Module, History]:
        student, history = train_student(run, teacher, resume=resume)
        return hearing(student), history

    return make_checkpoint(
        path,
        recipe=run.recipe,
        seed=run.seed,
        config=asdict(teacher.config),
        data="captions and clips of 8 frames of 16 x 16 pixels under noise, rendered as they are used, and what its "
        "teacher makes of them; no held-out combination",
        command=command,
        train=teach,
        measure=measure,
    )


def load_student(path: Path, teacher: nn.Module) -> nn.Module:
    """Load a student: a copy of its teacher that hears its condition in another way.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if the file is damaged, or holds what another network hears with.
    """
    return _with(load(path, lambda config: hearing(copy.deepcopy(teacher))).state_dict(), teacher)


def _with(heard: dict[str, Tensor], teacher: nn.Module) -> nn.Module:
    student = copy.deepcopy(teacher)
    hearing(student).load_state_dict(heard)
    return student.eval()
