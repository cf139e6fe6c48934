"""The experiment of chapter 08: a GAN that draws a clip for a caption, and what each of its two critics is for."""

import csv
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn

from course import budget, distributed
from course.datasets import sprites
from course.datasets.captions import ALL, HELD_OUT, TRAINED, Combination, caption, indices
from course.evaluation.judge import Verdict, coverage, judge
from course.models.gan import ClipCritic, FrameCritic, GANConfig, Generator, Noise, draw_noise
from course.recipes.making import make_checkpoint, write_csv
from course.recipes.text_to_clip import WORLD, captions_of
from course.training.adversarial import (
    AdversarialConfig,
    AdversarialHistory,
    hinge_critic_loss,
    hinge_generator_loss,
    mismatch_loss,
    mode_seeking_loss,
    r1_penalty,
    train_adversarial,
)
from course.training.checkpoint import Card, Resume, load
from course.training.ema import BestAverage
from course.training.loop import step_generator

CRITICS = {"frame": FrameCritic, "clip": ClipCritic}
FACTORS: dict[str, list[int]] = {"colour": [1], "shape": [2], "motion": [3, 4]}
"""Places of the caption that say each of the three."""


@dataclass(frozen=True, kw_only=True)
class GANSetting:
    """What is trained, and how.

    Attributes:
        config: of the generator and of its critics.
        critics: which of ``CRITICS`` there are.
        mismatch: weight of real clips with captions in which a word is wrong, which are to be scored as generated ones.
        penalty: gamma of the R1 penalty.
        mode_seeking: weight of the difference between two clips of a caption, for the generator.
        num_seen: frames of each clip that the frame critic sees.
        batch_size: clips in a batch.
        learning_rate: of the generator, at its highest.
        critic_rate: of the critics, as a multiple of the generator's.
        ema_decay: of the average of the generator's weights.
        look_every: turns between two looks at what the average draws for trained captions; the best is kept.
    """

    config: GANConfig = field(default_factory=GANConfig)
    critics: tuple[str, ...] = ("frame", "clip")
    mismatch: float = 1.0
    penalty: float = 0.5
    mode_seeking: float = 1.0
    num_seen: int = 1
    batch_size: int = 16
    learning_rate: float = 1e-3
    critic_rate: float = 1.0
    ema_decay: float = 0.995
    look_every: int = 100

    def __post_init__(self) -> None:
        """Check the names."""
        if not self.critics or set(self.critics) - set(CRITICS):
            raise ValueError(f"critics: wanted some of {', '.join(CRITICS)}, got {self.critics}")
        if self.batch_size < 2 or self.batch_size % 2:
            raise ValueError(f"batch_size: wanted an even number, for pairs of one caption, got {self.batch_size}")


GAN_SETTINGS: dict[str, GANSetting] = {
    "both critics": GANSetting(),
    "frame critic": GANSetting(critics=("frame",)),
    "clip critic": GANSetting(critics=("clip",)),
    "collapsed": GANSetting(config=GANConfig(loudness=0.02), mode_seeking=0.0),
}
"""The GANs of chapter 08. The last is made to collapse: its noise is a whisper beside the words, and nobody asks
that two clips of one caption differ."""


@dataclass(frozen=True, kw_only=True)
class GANRun:
    """One training.

    Attributes:
        name: one of ``GAN_SETTINGS``.
        seed: of the weights and of the clips.
        cpu_seconds: the budget, of process CPU time.
    """

    name: str
    seed: int
    cpu_seconds: float

    def __post_init__(self) -> None:
        """Check the name."""
        if self.name not in GAN_SETTINGS:
            raise ValueError(f"name: wanted one of {', '.join(GAN_SETTINGS)}, got {self.name!r}")

    @property
    def setting(self) -> GANSetting:
        """What is trained, and how."""
        return GAN_SETTINGS[self.name]

    @property
    def recipe(self) -> str:
        """The name and all that the training depends on beside the seed and the form of the networks."""
        return (
            f"video GAN, {self.name}: {self.cpu_seconds:g} CPU seconds, batches of {self.setting.batch_size}, learning "
            f"rate {self.setting.learning_rate:g}, the critics' {self.setting.critic_rate:g} times that, "
            f"{self.setting.num_seen} frames for the frame critic, gamma {self.setting.penalty:g}, wrong captions "
            f"weighed by {self.setting.mismatch:g}, likeness by {self.setting.mode_seeking:g}, "
            f"weights averaged with {self.setting.ema_decay:g}, the best of looks every {self.setting.look_every} turns"
        )


@dataclass(frozen=True)
class GANBatch:
    """What a training step is made of.

    Attributes:
        clips: (B, T, C, H, W), real ones.
        words: (B, L), their captions.
        wrong: (B, 3, L), the same with another clip's colour, shape or motion in it, which may be the same one.
        asked: (B, L), captions of clips to be generated, drawn apart from the real ones: were they the same, a critic
            that has just learned from red clips would teach the generator what *red* means, though it cannot read. The
            second half is the first again, with other noise.
        noise: for these.
        seen: (B, num_seen), the frames of each clip that the frame critic sees.
    """

    clips: Tensor
    words: Tensor
    wrong: Tensor
    asked: Tensor
    noise: Noise
    seen: Tensor


def gan_batch(setting: GANSetting, seed: int, step: int) -> GANBatch:
    """Return the batch of a training step: a function of the seed and the step alone."""
    chance = step_generator(seed, step)
    B, T = setting.batch_size, WORLD.num_frames
    drawn = sprites.sample(B, generator=chance, config=WORLD, combinations=TRAINED)
    words = indices(drawn.captions)
    chosen = torch.randint(len(TRAINED), (B // 2,), generator=chance).tolist()
    asked = indices([caption(TRAINED[i]) for i in chosen * 2])
    noise = draw_noise(B, setting.config, generator=chance)
    seen = torch.rand(B, T, generator=chance).argsort(dim=1)[:, : setting.num_seen]
    return GANBatch(drawn.clips, words, swapped(words, words.roll(1, dims=0)), asked, noise, seen)


def swapped(words: Tensor, other: Tensor) -> Tensor:
    """Put the colour, the shape, or the motion of other captions into captions: (B, L) and (B, L) to (B, 3, L)."""
    wrong = words[:, None].repeat(1, len(FACTORS), 1)
    for index, places in enumerate(FACTORS.values()):
        wrong[:, index, places] = other[:, places]
    return wrong


def make_critics(setting: GANSetting) -> nn.ModuleDict:
    """Return the untrained critics of a setting, by name."""
    return nn.ModuleDict({name: CRITICS[name](setting.config) for name in setting.critics})


def scores(critics: nn.ModuleDict, clips: Tensor, captions: Tensor, seen: Tensor) -> dict[str, Tensor]:
    """Ask each critic.

    Args:
        critics: a frame critic, a clip critic, or both.
        clips: (B, T, C, H, W), real or generated.
        captions: (B, K, L), K for each clip.
        seen: (B, n), the frames that the frame critic sees.

    Returns:
        By critic: (B, K) of the clip critic, (B * n, K) of the frame critic.
    """
    found = {}
    if "clip" in critics:
        found["clip"] = critics["clip"](clips, captions)
    if "frame" in critics:
        frames = clips[torch.arange(len(clips))[:, None], seen].flatten(0, 1)  # (B * n, C, H, W)
        found["frame"] = critics["frame"](frames, captions.repeat_interleave(seen.shape[1], dim=0))
    return found


def critic_loss(setting: GANSetting, critics: nn.ModuleDict, batch: GANBatch, fake: Tensor) -> Tensor:
    """Return what all critics together lose on a batch: real above 1, generated and wrongly described below -1."""
    captions = torch.cat([batch.words[:, None], batch.wrong], dim=1)  # (B, 1 + 3, L)
    real = scores(critics, batch.clips, captions, batch.seen)
    generated = scores(critics, fake, batch.asked[:, None], batch.seen)
    loss = sum(hinge_critic_loss(real[name][:, 0], generated[name][:, 0]) for name in critics)
    if not setting.mismatch:
        return loss
    for name, critic in critics.items():
        read = captions[..., list(critic.judgement.words.places)]
        unlike = (read[:, 1:] != read[:, :1]).any(dim=2)  # (B, 3)
        unlike = unlike.repeat_interleave(len(real[name]) // len(unlike), dim=0)
        loss = loss + setting.mismatch * mismatch_loss(real[name][:, :1], real[name][:, 1:], unlike)
    return loss


def generator_loss(setting: GANSetting, critics: nn.ModuleDict, batch: GANBatch, fake: Tensor) -> Tensor:
    """Return what the generator loses: to all critics together, and by clips that are too much alike."""
    found = scores(critics, fake, batch.asked[:, None], batch.seen)
    loss = sum(hinge_generator_loss(score) for score in found.values())
    return loss + setting.mode_seeking * mode_seeking_loss(fake, batch.noise.start)


def penalty(setting: GANSetting, critics: nn.ModuleDict, batch: GANBatch) -> Tensor:
    """Return the R1 penalty of all critics together, weighted."""
    captions = batch.words[:, None]

    def score(clips: Tensor) -> Tensor:
        return torch.cat([found.flatten() for found in scores(critics, clips, captions, batch.seen).values()])

    return setting.penalty / 2 * r1_penalty(score, batch.clips)


def train_gan(run: GANRun, *, resume: Resume | None = None) -> tuple[Generator, AdversarialHistory]:
    """Train a GAN on one thread; return the generator, and what the training went through.

    The game does not come to rest, and its losses do not say when it is at its best. So now and then the judge looks at
    clips for trained captions, and the averaged weights that it liked best are returned.

    Args:
        run: which one.
        resume: where the state of the training is kept, if it is to go on after an interruption.
    """
    setting = run.setting
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        generator, critics = Generator(setting.config), make_critics(setting)
    ema = BestAverage(generator, setting.ema_decay, score=_caption_rate, every=setting.look_every)
    config = AdversarialConfig(
        cpu_seconds=run.cpu_seconds, learning_rate=setting.learning_rate, critic_rate=setting.critic_rate
    )
    with budget.one_thread():
        history = train_adversarial(
            generator,
            critics,
            lambda step: gan_batch(setting, run.seed, step),
            lambda generator, batch: generator(batch.noise, batch.asked),
            lambda critics, batch, fake: critic_loss(setting, critics, batch, fake),
            lambda critics, batch, fake: generator_loss(setting, critics, batch, fake),
            config,
            penalty=(lambda critics, batch: penalty(setting, critics, batch)) if setting.penalty else None,
            ema=ema,
            resume=resume,
        )
    return ema.best.eval(), history


def _caption_rate(network: Generator) -> float:
    """Return the CAPTION of two clips of each trained caption; of several workers the first looks, on the CPU."""

    def look() -> float:
        return judge_gan(deepcopy(network).to("cpu"), TRAINED, num_each=2, seed=9002).rates()["caption"]

    return distributed.from_first(look)


@torch.no_grad()
def draw_gan(network: Generator, captions: Sequence[str], *, generator: torch.Generator, chunk: int = 96) -> Tensor:
    """Draw a clip for each caption: (B, 8, 3, 16, 16), values in [0, 1].

    Args:
        network: a trained generator.
        captions: B sentences.
        generator: the only source of chance.
        chunk: clips at a time.
    """
    words, noise = indices(captions), draw_noise(len(captions), network.config, generator=generator)
    parts = [slice(first, first + chunk) for first in range(0, len(words), chunk)]
    return torch.cat([network(noise[part], words[part]) for part in parts])


def judge_gan(
    network: Generator, combinations: Sequence[Combination] = ALL, *, num_each: int = 20, seed: int = 9000
) -> Verdict:
    """Draw so many clips of each combination and judge them."""
    captions = captions_of(combinations, num_each)
    return judge(draw_gan(network, captions, generator=budget.generator(seed)), captions, config=WORLD)


def variety(verdict: Verdict, combinations: Sequence[Combination], num_each: int) -> float:
    """Return how far apart the clips of one caption begin, as a share of how far apart real ones do.

    COVERAGE counts combinations: a generator that draws one clip for each caption, whatever the noise, has it all. Such
    a generator has a VARIETY of 0, and the world has one of 1.

    Args:
        verdict: on ``num_each`` clips of each combination, one round after the other, as of ``judge_gan``.
        combinations: what was asked for.
        num_each: at least 2.
    """
    real = sprites.sample_state(list(combinations) * num_each, generator=budget.generator(0), config=WORLD)
    apart = [
        position[:, 0].unflatten(0, (num_each, len(combinations))).std(dim=0).mean()
        for position in (verdict.reading.position, real.position)
    ]
    return (apart[0] / apart[1]).item()


def gan_metrics(network: Generator) -> dict[str, float]:
    """Return what the judge says of 20 clips of each caption, of all and of the held-out ones."""
    found, num_each = {}, 20
    for name, combinations, seed in (("all", ALL, 9000), ("held out", HELD_OUT, 9001)):
        verdict = judge_gan(network, combinations, num_each=num_each, seed=seed)
        rates = verdict.rates() | {
            "coverage": coverage(verdict, combinations),
            "variety": variety(verdict, combinations, num_each),
        }
        found |= {f"{rate}, {name}": value for rate, value in rates.items()}
    return found


def gan_checkpoint(
    path: Path, run: GANRun, *, command: str, measure: Callable[[Generator], dict[str, float]] = gan_metrics
) -> Card:
    """Train and test a GAN, and keep its generator with its card; what is there already is not made again.

    The losses of the training are kept beside it, NAME.csv: see ``read_losses``.

    Args:
        path: of the weights, NAME.safetensors.
        run: which training.
        command: what makes the checkpoint again, for the card.
        measure: from the generator to its metrics.

    Raises:
        ValueError: if a file that is there is damaged, or is another training's.
    """

    def train(resume: Resume) -> tuple[Generator, AdversarialHistory]:
        generator, history = train_gan(run, resume=resume)
        rows: list[list[object]] = [["turn", "critics", "generator"]]
        for turn in range(0, len(history.losses), _LOSSES_EVERY):
            some = slice(turn, turn + _LOSSES_EVERY)
            rows.append([turn, *(f"{mean(one[some]):.4f}" for one in (history.losses, history.generator_losses))])
        write_csv(path.with_suffix(".csv"), rows)
        return generator, history

    return make_checkpoint(
        path,
        recipe=run.recipe,
        seed=run.seed,
        config=asdict(run.setting.config),
        data="captions and clips of 8 frames of 16 x 16 pixels, rendered as they are used; no held-out combination",
        command=command,
        train=train,
        measure=measure,
    )


_LOSSES_EVERY = 25


def read_losses(path: Path) -> dict[str, list[float]]:
    """Read what critics and generator lost in the training of a GAN, averaged over every 25 turns.

    Args:
        path: of the weights, NAME.safetensors; the losses lie beside it.
    """
    with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {who: [float(row[who]) for row in rows] for who in ("critics", "generator")}


def load_gan(path: Path) -> Generator:
    """Load a trained generator.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if the file is damaged, or holds another network.
    """
    return load(path, lambda config: Generator(GANConfig(**config)))
