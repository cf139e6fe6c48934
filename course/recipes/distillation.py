"""Few steps, taught: a student learns to say at once where its teacher's long walk ends (chapter 09).

The teacher is a trained denoiser. From a clip under noise it walks down to a clean one, guided, in many small steps.
The student begins as a copy of it, draws clips in few steps, and is told what it should have answered on the way. From
noise alone: the clip in which the teacher's walk from that noise ends. After that it sees its own answer under noise,
and answers again; what it should have said there is where the teacher ends that goes on from what the student sees
*next*. So it learns to mend what it really does, not what becomes of real clips under noise; no clip of the world is
shown to it at all.

The teacher's own answer is the mean of all clips that might be under the noise, a fog; a walk ends at one of them.
Since the walk is guided, the student has guidance in its weights, and is asked once a step where the teacher, guided,
is asked twice.

Most of the student is not trained at all. It learns only to hear its condition, noise step and words, in another way:
that is an eighth of the weights, and what a checkpoint keeps.

Paper:
    Luhman and Luhman 2021, arXiv 2101.02388 (to learn where a deterministic walk ends); Meng et al. 2022, arXiv
    2210.03142 (with guidance in it); Kohler et al. 2024, arXiv 2405.05224 (a student that is taught on its own way,
    after Ross, Gordon and Bagnell 2011, arXiv 1011.0686, where it is a driver); Song et al. 2023, arXiv 2303.01469,
    algorithm 1 (answer, put noise over the answer, ask again; there all of that noise is fresh, here most of it).
    Imagen Video, arXiv 2210.02303, section 2.7, is distilled by halving the number of steps again and again (Salimans
    and Ho 2022, arXiv 2202.00512), which takes several trainings; here is one.
"""

import copy
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from course.budget import one_thread
from course.datasets.captions import TRAINED, caption
from course.diffusion.guidance import guided
from course.diffusion.samplers import ddim, euler, noise_steps
from course.diffusion.schedule import Flow
from course.layers.conditioning import AdaptiveGroupNorm
from course.models.denoiser import Condition, ConditionEncoder
from course.recipes.denoising import GUIDANCE, INTERVAL, told
from course.recipes.making import make_checkpoint
from course.recipes.text_to_clip import SHAPE, text_metrics
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
CLIPS = 4
"""Drawn in a lesson; each is seen at ``NUM_STEPS`` noise steps."""
LEARNING_RATE, EMA_DECAY = 3e-3, 0.99


@dataclass(frozen=True)
class Lesson:
    """What a student saw on its way from noise to clips, and what it should have said.

    Attributes:
        noisy: (B, T, C, H, W), first all clips at the first noise step, then all at the second, and so on.
        noise_step: (B,).
        condition: of the same clips.
        wanted: (B, T, C, H, W), values in [-1, 1].
    """

    noisy: Tensor
    noise_step: Tensor
    condition: Condition
    wanted: Tensor


@dataclass(frozen=True, kw_only=True)
class StudentRun:
    """One training of a student.

    Attributes:
        seed: of the captions and the noise that it begins with; the teacher is the one that was trained with this seed.
        cpu_seconds: the budget, of process CPU time.
    """

    seed: int
    cpu_seconds: float

    @property
    def recipe(self) -> str:
        """All that the training depends on beside the seed and the teacher."""
        return (
            f"text to clip in {NUM_STEPS} steps, taught by text to clip, U-Net: {self.cpu_seconds:g} CPU seconds, "
            f"walks of {WALK_STEPS} steps with a guidance of {GUIDANCE:g} from {INTERVAL[0]:g} to {INTERVAL[1]:g}, "
            f"lessons of {CLIPS} clips as the student draws them, {WINDOW} of them gone through {TIMES} times, "
            f"learning rate {LEARNING_RATE:g}, weights averaged with {EMA_DECAY:g}, errors weighed by 1 / noise_step"
        )


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


def on_its_way(student: nn.Module, noise: Tensor, condition: Condition, *, generator: torch.Generator) -> list[Tensor]:
    """Return what a student sees while it draws: (B, T, C, H, W) for each of its ``NUM_STEPS``, the noise first.

    Args:
        student: a denoiser.
        noise: (B, T, C, H, W).
        condition: of the same clips.
        generator: source of the fresh noise, as in ``denoising.generate``.
    """
    seen = []

    def watched(noisy: Tensor, noise_step: Tensor, asked: Condition) -> Tensor:
        seen.append(noisy)
        return student(noisy, noise_step, asked)

    ddim(watched, noise, condition, steps=noise_steps(NUM_STEPS), schedule=Flow(), eta=1.0, generator=generator)
    return seen


def lesson(student: nn.Module, teacher: nn.Module, *, seed: int, index: int) -> Lesson:
    """Let a student draw ``CLIPS`` clips for captions that are trained, and say what it should have answered.

    To noise alone: where the teacher's walk from there ends. Later, where the teacher ends that goes on from what the
    student sees *next*, since its answer counts by what comes of it; nothing comes after the last, and there the
    teacher goes on from the same place.

    Args:
        student: as it is now.
        teacher: a denoiser that was trained with some captions left out.
        seed: of the training.
        index: of the lesson, at least 0.

    Returns:
        ``CLIPS`` * ``NUM_STEPS`` of each.
    """
    chance = step_generator(seed, index)
    asked = torch.randint(len(TRAINED), (CLIPS,), generator=chance).tolist()
    words = told([caption(TRAINED[i]) for i in asked])
    seen = on_its_way(student, torch.randn((CLIPS, *SHAPE), generator=chance), words, generator=chance)
    levels = noise_steps(NUM_STEPS)[:-1]
    begins = (0, *range(2, NUM_STEPS))
    ends = [end_of_walk(teacher, seen[k], levels[k].expand(CLIPS), words) for k in begins]
    each = torch.arange(CLIPS).repeat(NUM_STEPS)
    return Lesson(torch.cat(seen), levels.repeat_interleave(CLIPS), words[each], torch.cat([*ends, ends[-1]]))


def lesson_loss(student: nn.Module, given: Lesson) -> Tensor:
    """Return the squared error of a student's answers, weighed by 1 / noise_step as in ``denoising.batch_loss``."""
    answers = student(given.noisy, given.noise_step, given.condition)
    error = (answers - given.wanted).square().flatten(1).mean(dim=1)  # (B,)
    return (error / given.noise_step).mean()


def hearing(network: nn.Module) -> nn.ModuleDict:
    """Return the parts of a U-Net that hear its condition, each itself and no copy: what a student learns."""
    kinds = (ConditionEncoder, AdaptiveGroupNorm)
    return nn.ModuleDict(
        {name.replace(".", "_"): part for name, part in network.named_modules() if isinstance(part, kinds)}
    )


def train_student(run: StudentRun, teacher: nn.Module, *, resume: Resume | None = None) -> tuple[nn.Module, History]:
    """Train a student on one thread; return it with averaged weights, and what the training went through.

    Args:
        run: which one.
        teacher: is left as it is.
        resume: where the state of the training is kept, if it is to go on after an interruption; the student then draws
            the clips of its last lessons once more, as it is by then.
    """
    teacher = copy.deepcopy(teacher).requires_grad_(False)
    student = copy.deepcopy(teacher)
    hearing(student).requires_grad_()
    ema = EMA(student, EMA_DECAY)
    config = TrainConfig(cpu_seconds=run.cpu_seconds, learning_rate=LEARNING_RATE)

    @lru_cache(maxsize=WINDOW)
    def taught(index: int) -> Lesson:
        return lesson(ema.average, teacher, seed=run.seed, index=index)

    def batch(step: int) -> Lesson:
        window, place = divmod(step, WINDOW * TIMES)
        return taught(window * WINDOW + place % WINDOW)

    with one_thread():
        history = train(student, batch, lesson_loss, config, ema=ema, resume=resume)
    return ema.average.eval(), history


def student_checkpoint(path: Path, run: StudentRun, teacher: nn.Module, *, command: str) -> Card:
    """Train and test a student, and keep what it has learned with its card; see ``making.make_checkpoint``.

    Raises:
        ValueError: if a file that is there is damaged, or is another training's.
    """

    def measure(parts: nn.ModuleDict) -> dict[str, float]:
        found = text_metrics(_with(parts.state_dict(), teacher), **FEW)
        for num_steps in (NUM_STEPS, MANY):
            rates = text_metrics(teacher, num_steps=num_steps)
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
        data="captions, none of a held-out combination, noise, and what its teacher makes of what it draws; no clips",
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
