"""The experiment of chapter 12: from a picture to a clip of 16 x 16 pixels, and from an image network to one of clips.

The first part trains one network that is shown whichever frames are known, clean, beside the noisy clip: the first, the
first and the last, any others, or none. It is told in words what moves how, and in a number how fast, and learns to do
without either. Most of its clips show sprites, the others drawings that there are no words for.

The second part is the other meaning of the name: a network for pictures becomes one for clips (``unet.inflated``). It
asks what is saved, if some of a budget goes to pictures, which are cheap.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course import budget
from course.clips import expect
from course.datasets import doodles, sprites
from course.datasets.captions import (
    ALL,
    COLOURS,
    HELD_OUT,
    MAX_WORDS,
    MOTIONS,
    PHRASES,
    SHAPES,
    TRAINED,
    VOCABULARY,
    Combination,
    caption,
    indices,
    parse,
)
from course.datasets.sprites import DIRECTIONS, ORBIT, RADIUS, SPEEDS
from course.evaluation.frames import mse, psnr
from course.evaluation.judge import MOTION_BOUND, judge
from course.generation.image_to_video import known_frames
from course.models.denoiser import Condition
from course.models.unet import UNetConfig, inflated
from course.recipes.denoising import (
    DenoiserRun,
    DenoiserSetting,
    Examples,
    batch_loss,
    denoiser_checkpoint,
    generate,
    noisy_batch,
    train_denoiser,
)
from course.recipes.text_to_clip import SHAPE, TEXT_SETTINGS, WORLD, judge_drawn, leave_words_out, text_examples
from course.training.checkpoint import Card
from course.training.loop import History

KNOWN: dict[str, float] = {"first": 0.6, "first and last": 0.15, "last": 0.05, "some": 0.1, "none": 0.1}
"""Which frames of a clip are known in training, and how often; of "some", each is known or not as a coin falls."""
DOODLES = 0.25
"""Share of the clips that show drawings in place of sprites."""
TOLD_STRENGTH = 0.5
"""Share of the clips whose motion strength is told."""
OPEN = 0.25
"""Share of the clips whose phrase is left out, beside those of ``leave_words_out``: there, any motion is right."""
GOOD_COPY = 30.0
"""A first frame that differs from the picture by less, in decibels, is the picture for the eye."""


# What is told


def motion_strength(position: Tensor, *, size: int) -> Tensor:
    """Return how fast things move, as a share of the fastest speed there is: 0 stands still.

    Args:
        position: (B, T, 2), in pixels.
        size: side of the frame in pixels.

    Returns:
        (B,), the mean over the clip.
    """
    speed = torch.linalg.vector_norm(position.diff(dim=1), dim=2).mean(dim=1) / size
    return speed / SPEEDS[1]


def strength_levels(strength: Tensor | float | None, num_clips: int) -> Tensor:
    """Return what ``Condition.levels`` says of motion strength: the strength, and 1 where it is told.

    Args:
        strength: (B,) or one number for all, from 0 to 1; None where it is not told.
        num_clips: B.

    Returns:
        (B, 2).
    """
    if strength is None:
        return torch.zeros(num_clips, 2)
    value = torch.as_tensor(strength, dtype=torch.float32)
    if value.shape not in ((), (num_clips,)) or not ((value >= 0) & (value <= 1)).all():
        raise ValueError(f"strength: wanted one number in [0, 1], or one for each of {num_clips} clips, got {strength}")
    return torch.stack([value.expand(num_clips), torch.ones(num_clips)], dim=1)


def told_words(texts: Sequence[str] | str | None, num_clips: int) -> Tensor:
    """Return the words of captions, or of phrases alone: then nothing is said of colour and shape.

    Args:
        texts: one for each clip or one for all: "a red circle moves left" or "moves left"; None says nothing.
        num_clips: B.

    Returns:
        (B, 5), as of ``captions.indices``.

    Raises:
        ValueError: for a word, or an order of words, that the network does not know, with those that it knows.
    """
    if texts is None:
        return torch.zeros(num_clips, MAX_WORDS, dtype=torch.long)
    texts = [texts] * num_clips if isinstance(texts, str) else list(texts)
    if len(texts) != num_clips:
        raise ValueError(f"captions: wanted one for each of {num_clips} clips, got {len(texts)}")
    return torch.cat([_words(text) for text in texts]) if texts else torch.zeros(0, MAX_WORDS, dtype=torch.long)


def _words(text: str) -> Tensor:
    """Return the words of one caption or one phrase, (1, 5)."""
    said = " ".join(text.split()) if isinstance(text, str) else text
    if said in PHRASES.values():
        words = indices([caption(Combination(COLOURS[0], SHAPES[0], _motion(said)))])
        words[:, 1:3] = 0
        return words
    try:
        (one,) = parse(said)
    except ValueError:
        raise ValueError(
            f"caption: wanted a phrase ({', '.join(PHRASES.values())}), or 'a COLOUR SHAPE PHRASE' with a colour of "
            f"{', '.join(COLOURS)} and a shape of {', '.join(SHAPES)}, got {text!r}"
        ) from None
    return indices([caption(one)])


def _motion(phrase: str) -> str:
    return next(motion for motion, words in PHRASES.items() if words == phrase)


# What is learned


def draw_known(num_clips: int, num_frames: int, *, generator: torch.Generator) -> Tensor:
    """Draw which frames of each clip are known, as often as ``KNOWN`` says.

    Returns:
        (B, T), True where a frame is known.
    """
    kinds = torch.zeros(len(KNOWN), num_frames, dtype=torch.bool)
    kinds[[0, 1], 0] = True
    kinds[[1, 2], -1] = True
    some = torch.rand(num_clips, num_frames, generator=generator) < 0.5
    kind = torch.multinomial(torch.tensor(list(KNOWN.values())), num_clips, replacement=True, generator=generator)
    return torch.where((kind == list(KNOWN).index("some"))[:, None], some, kinds[kind])


def picture_examples(num_clips: int, generator: torch.Generator) -> Examples:
    """Draw clips of sprites and of doodles, some frames of which are known, with words and strength."""
    num_doodles = int(DOODLES * num_clips)
    drawn = sprites.sample(num_clips - num_doodles, generator=generator, config=WORLD, combinations=TRAINED)
    clips, position, words = drawn.clips, drawn.state.position, indices(drawn.captions)
    if num_doodles:
        scrawled = doodles.sample(num_doodles, generator=generator, size=WORLD.size, num_frames=WORLD.num_frames)
        clips = torch.cat([clips, scrawled.clips])
        position = torch.cat([position, scrawled.position])
        words = torch.cat([words, told_words(scrawled.phrases, num_doodles)])
    order = torch.randperm(num_clips, generator=generator)  # noise steps are dealt out in order
    clips, position, words = clips[order], position[order], words[order]
    known = draw_known(num_clips, WORLD.num_frames, generator=generator)
    told = torch.rand(num_clips, generator=generator) < TOLD_STRENGTH
    strength = motion_strength(position, size=WORLD.size).clamp(0, 1)
    words = leave_words_out(words, generator=generator)
    words[:, 3:] *= torch.rand(num_clips, 1, generator=generator) >= OPEN
    condition = Condition(
        words=words,
        given=known_frames(clips, known),
        levels=strength_levels(strength, num_clips) * told[:, None],
    )
    return Examples(clips, condition)


_WORDS = {"num_words": len(VOCABULARY), "max_words": MAX_WORDS}
PICTURE_SETTING = DenoiserSetting(
    config=UNetConfig(**_WORDS, given_channels=4, num_levels=2),
    examples=picture_examples,
    data="clips of 8 frames of 16 x 16 pixels, rendered as they are used, of which some frames are shown: sprites with "
    f"captions, no held-out combination, and drawings with phrases, {DOODLES:g} of all",
)
"""The denoiser of chapter 12."""


def picture_run(*, seed: int, cpu_seconds: float) -> DenoiserRun:
    """Return the training of ``PICTURE_SETTING``."""
    return DenoiserRun(name="image to video", setting=PICTURE_SETTING, seed=seed, cpu_seconds=cpu_seconds)


# What is drawn


def fill(
    network: nn.Module,
    clips: Tensor,
    known: Tensor,
    captions: Sequence[str] | str | None = None,
    *,
    strength: Tensor | float | None = None,
    guidance: float = 1.0,
    generator: torch.Generator,
    **options: object,
) -> Tensor:
    """Draw clips of which some frames are known; these are drawn, too, as the network sees them.

    Args:
        network: a denoiser that was trained on ``picture_examples``.
        clips: (B, 8, 3, 16, 16), values in [0, 1]; frames that are not known may hold anything.
        known: (B, 8), True where a frame is known.
        captions: one for each clip or one for all: see ``told_words``.
        strength: (B,) or one number for all: 0 stands still, 0.5 is the slowest and 1 the fastest motion of the
            sprite world; what lies between 0 and 0.5 was never trained. None leaves it open.
        guidance: scale, of the words. At 1, unguided, the network is asked once a step, and nothing is lost where
            words and picture agree; where they do not, guidance takes the side of the words.
        generator: the only source of chance.
        **options: as of ``denoising.generate``, such as ``num_steps``.

    Returns:
        (B, 8, 3, 16, 16), values in [0, 1].
    """
    condition = Condition(
        given=known_frames(clips, known),
        words=told_words(captions, len(clips)),
        levels=strength_levels(strength, len(clips)),
    )
    return generate(network, condition, tuple(clips.shape), generator=generator, guidance=guidance, **options)


def animate(
    network: nn.Module,
    pictures: Tensor,
    captions: Sequence[str] | str | None = None,
    *,
    strength: Tensor | float | None = None,
    last: Tensor | None = None,
    generator: torch.Generator,
    **options: object,
) -> Tensor:
    """Draw clips that begin with pictures.

    Args:
        network: a denoiser that was trained on ``picture_examples``.
        pictures: (B, 3, 16, 16), values in [0, 1].
        captions: one for each picture or one for all, such as "moves left"; None leaves the motion open.
        strength: see ``fill``.
        last: (B, 3, 16, 16), pictures to end with, or None.
        generator: the only source of chance.
        **options: as of ``fill``, such as ``guidance`` and ``num_steps``.

    Returns:
        (B, 8, 3, 16, 16), values in [0, 1].
    """
    T, _, H, W = SHAPE
    expect(pictures, "B 3 H W", name="pictures", H=H, W=W)
    clips = pictures[:, None].repeat(1, T, 1, 1, 1)
    known = torch.zeros(len(pictures), T, dtype=torch.bool)
    known[:, 0] = True
    if last is not None:
        expect(last, "B 3 H W", name="last", B=len(pictures), H=H, W=W)
        clips[:, -1], known[:, -1] = last, True
    return fill(network, clips, known, captions, strength=strength, generator=generator, **options)


# What is measured


def find_again(clips: Tensor, pictures: Tensor, *, reach: int = 11) -> Tensor:
    """Find where the drawing of a picture stands in each frame, by correlation, whatever the drawing is.

    Args:
        clips: (B, T, C, H, W), values in [0, 1], black where nothing is.
        pictures: (B, C, H, W), each of one drawing on black.
        reach: farthest displacement, in pixels along each axis.

    Returns:
        (B, T, 2), displacement from the picture in pixels, (row, column).
    """
    B, _, C, H, W = clips.shape
    expect(pictures, "B C H W", name="pictures", B=B, C=C, H=H, W=W)
    frames = F.pad(clips, [reach] * 4).transpose(0, 1).flatten(1, 2)  # (T, B * C, H + 2 reach, W + 2 reach)
    match = F.conv2d(frames, pictures, groups=B).transpose(0, 1)  # (B, T, side, side)
    side = 2 * reach + 1
    best = match.flatten(2).argmax(dim=2)
    place = torch.stack([best // side, best % side], dim=2)  # (B, T, 2)
    padded = F.pad(match, [1] * 4, mode="replicate").flatten(2)
    centre = (place[..., 0] + 1) * (side + 2) + place[..., 1] + 1
    parts = []
    for stride in (side + 2, 1):  # the top of a parabola through the best place and its neighbours
        before, here, after = (padded.gather(2, (centre + k * stride)[..., None])[..., 0] for k in (-1, 0, 1))
        parts.append((0.5 * (after - before) / (2 * here - before - after).clamp(min=1e-6)).clamp(-0.5, 0.5))
    return place - reach + torch.stack(parts, dim=2)


def moves_as_told(displacement: Tensor, motions: Tensor, *, size: int) -> Tensor:
    """Return whether things move as they are told, by whichever law of the sprite world is nearest to their path.

    Args:
        displacement: (B, T, 2), from the first frame, in pixels; of paths that meet no wall.
        motions: (B,), index into ``captions.MOTIONS``.
        size: side of the frame in pixels.

    Returns:
        (B,), True where the nearest law is the one told, and is never farther away than ``judge.MOTION_BOUND`` allows.
    """
    seen = displacement / size
    t = torch.arange(seen.shape[1])
    speed = torch.linspace(0.9 * SPEEDS[0], 1.1 * SPEEDS[1], 32)
    angle = 2 * torch.pi * torch.arange(64)[:, None, None] / 64 + speed[:, None] / ORBIT * t  # (64, 32, T)
    orbit = ORBIT * torch.stack([angle.sin(), angle.cos()], dim=-1)
    errors = []
    for motion, direction in zip(MOTIONS, DIRECTIONS, strict=True):
        if motion == "clockwise":
            paths = (orbit - orbit[:, :, :1]).flatten(0, 1)  # (64 * 32, T, 2)
        else:
            paths = speed[:, None, None] * t[:, None] * direction  # (32, T, 2); standing still, all are the same
        far = torch.stack([torch.linalg.vector_norm(one - paths, dim=2).amax(dim=1).amin() for one in seen])
        errors.append(far)
    error, found = torch.stack(errors, dim=1).min(dim=1)
    return (found == motions) & (error <= MOTION_BOUND)


def sprite_metrics(
    network: nn.Module, combinations: Sequence[Combination], *, num_each: int, seed: int, **options: object
) -> dict[str, float]:
    """Animate real first frames of sprites, with their captions, and measure what comes.

    Returns:
        ``first frame``: PSNR in decibels, the mean; ``good first frames``: the share of at least ``GOOD_COPY``; the
        judge's rates; ``identity and motion``: the share of clips that pass both.
    """
    chance = budget.generator(seed)
    asked = list(combinations) * num_each
    state = sprites.sample_state(asked, generator=chance, config=WORLD)
    pictures = sprites.render(state, config=WORLD)[:, 0]
    captions = [caption(combination) for combination in asked]
    drawn = animate(network, pictures, captions, generator=chance, **options)
    verdict = judge(drawn, captions, config=WORLD)
    both = (verdict.identity & verdict.valid & verdict.motion).float().mean().item()
    return _copies(drawn[:, 0], pictures) | verdict.rates() | {"identity and motion": both}


def doodle_metrics(network: nn.Module, *, num_clips: int, seed: int, **options: object) -> dict[str, float]:
    """Animate drawings, told the phrase alone, and measure what comes.

    Returns:
        ``first frame`` and ``good first frames``: see ``sprite_metrics``; ``moves as told``: the share that does;
        ``same drawing``: PSNR in decibels of all frames against the same drawing, wherever it has been moved to.
    """
    chance = budget.generator(seed)
    real = doodles.sample(num_clips, generator=chance, size=WORLD.size, num_frames=WORLD.num_frames)
    pictures = real.clips[:, 0]
    drawn = animate(network, pictures, real.phrases, generator=chance, **options)
    moved = find_again(drawn, pictures)
    wall = RADIUS * WORLD.size
    position = (real.position[:, :1] + moved).clamp(wall, WORLD.size - wall)
    there = doodles.render(real.drawings, position, size=WORLD.size)
    return _copies(drawn[:, 0], pictures) | {
        "moves as told": moves_as_told(moved, real.motion, size=WORLD.size).float().mean().item(),
        "same drawing": -10 * mse(drawn, there).mean().log10().item(),
    }


def freedom_metrics(network: nn.Module, *, num_each: int, seed: int, **options: object) -> dict[str, float]:
    """Measure what is left open, what is asked in numbers, and what lies between two pictures.

    Returns:
        ``lawful``: the share of clips that are valid and obey a law without words; ``motions from one picture``: how
        many of the six motions occur among these, the mean over four pictures; ``strength``: the correlation of the
        asked and the measured speed; ``last frame``: its PSNR in decibels where first and last are given;
        ``in between, caption``: CAPTION of these clips.
    """
    chance = budget.generator(seed)
    asked = [combination for combination in HELD_OUT if combination.motion != "still"]
    state = sprites.sample_state(asked * 16, generator=chance, config=WORLD)
    strength = motion_strength(state.position, size=WORLD.size).view(16, len(asked))
    fastest = strength.argmax(dim=0) * len(asked) + torch.arange(len(asked))  # there is room for every speed
    real = sprites.render(state, config=WORLD)[fastest]
    captions = [caption(combination) for combination in asked]

    pictures = real[:4, 0].repeat_interleave(num_each, dim=0)
    free = judge(animate(network, pictures, generator=chance, **options), config=WORLD)
    motion = torch.tensor([MOTIONS.index(found.motion) for found in free.combinations])
    lawful = free.valid & free.identity & (free.motion_error <= MOTION_BOUND)
    found = [len(motion[part][lawful[part]].unique()) for part in torch.arange(len(motion)).split(num_each)]

    wanted = torch.linspace(SPEEDS[0] / SPEEDS[1], 1, num_each).repeat(len(asked))
    repeated = [text for text in captions for _ in range(num_each)]
    quick = real[:, 0].repeat_interleave(num_each, dim=0)
    moved = judge(animate(network, quick, repeated, strength=wanted, generator=chance, **options), config=WORLD)
    speed = motion_strength(moved.reading.position, size=WORLD.size)

    between = animate(network, real[:, 0], captions, last=real[:, -1], generator=chance, **options)
    return {
        "lawful": lawful.float().mean().item(),
        "motions from one picture": sum(found) / len(found),
        "strength": torch.corrcoef(torch.stack([wanted, speed]))[0, 1].item(),
        "last frame": psnr(between[:, -1:], real[:, -1:]).mean().item(),
        "in between, caption": judge(between, captions, config=WORLD).rates()["caption"],
    }


def picture_metrics(network: nn.Module) -> dict[str, float]:
    """Return all that is measured of the network of this chapter."""
    measured = {
        "all": sprite_metrics(network, ALL, num_each=5, seed=12000),
        "held out": sprite_metrics(network, HELD_OUT, num_each=20, seed=12001),
        "doodles": doodle_metrics(network, num_clips=240, seed=12002),
        "open": freedom_metrics(network, num_each=24, seed=12003),
    }
    return {f"{name}, {kind}": value for kind, found in measured.items() for name, value in found.items()}


def _copies(frames: Tensor, pictures: Tensor) -> dict[str, float]:
    """Compare frames with the pictures that they should be, both (B, C, H, W)."""
    close = psnr(frames[:, None], pictures[:, None]).clamp(max=100)  # a perfect copy is infinitely close
    return {"first frame": close.mean().item(), "good first frames": (close >= GOOD_COPY).float().mean().item()}


def picture_checkpoint(path: Path, run: DenoiserRun, *, command: str) -> Card:
    """Train and test the network of this chapter and keep it: see ``denoising.denoiser_checkpoint``."""
    return denoiser_checkpoint(path, run, command=command, measure=picture_metrics)


# From an image network to a video network

_SMALL = {"hidden_channels": (48, 48), "condition_size": 64}
IMAGE_SHARE = 1 / 3
"""Of the CPU time of an inflated network, what goes to pictures."""


def frame_examples(num_clips: int, generator: torch.Generator) -> Examples:
    """Draw one frame of each of so many clips, (B, 1, 3, 16, 16), told of in all words but the phrase."""
    drawn = sprites.sample(num_clips, generator=generator, config=WORLD, combinations=TRAINED)
    chosen = torch.randint(WORLD.num_frames, (num_clips,), generator=generator)
    words = leave_words_out(indices(drawn.captions), generator=generator)
    words[:, 3:] = 0
    return Examples(drawn.clips[torch.arange(num_clips), chosen][:, None], Condition(words=words))


IMAGE_SETTING = DenoiserSetting(
    config=UNetConfig(**_WORDS, **_SMALL, num_frames=1, frames="stacked"),
    examples=frame_examples,
    data="single frames of clips of 16 x 16 pixels, with colour and shape; no held-out combination",
    batch_size=64,
)
"""A denoiser of pictures."""
VIDEO_SETTING = DenoiserSetting(
    config=UNetConfig(**_WORDS, **_SMALL, frames="factorised"),
    examples=text_examples,
    data=TEXT_SETTINGS["U-Net"].data,
)
"""A denoiser of clips; apart from the looks along time it has the weights of ``IMAGE_SETTING``."""


def train_inflated(*, seed: int, image_seconds: float, video_seconds: float) -> tuple[nn.Module, tuple[History, ...]]:
    """Train a network for pictures, inflate it, and train it on clips.

    Args:
        seed: of both trainings.
        image_seconds: CPU seconds of the first.
        video_seconds: CPU seconds of the second.

    Returns:
        The network for clips, and what the two trainings went through.
    """
    image_run = DenoiserRun(name="image", setting=IMAGE_SETTING, seed=seed, cpu_seconds=image_seconds)
    image, first = train_denoiser(image_run)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = inflated(image, WORLD.num_frames)
    run = DenoiserRun(name="video, inflated", setting=VIDEO_SETTING, seed=seed, cpu_seconds=video_seconds)
    video, second = train_denoiser(run, start=start)
    return video, (first, second)


def held_out_loss(network: nn.Module, *, num_batches: int = 8, seed: int = 12100) -> float:
    """Return the loss on noisy clips of held-out combinations with their whole captions, always the same ones."""
    setting = replace(VIDEO_SETTING, examples=_held_out_examples)
    with torch.no_grad():
        losses = [batch_loss(network, noisy_batch(setting, seed, step)) for step in range(num_batches)]
    return torch.stack(losses).mean().item()


def _held_out_examples(num_clips: int, generator: torch.Generator) -> Examples:
    drawn = sprites.sample(num_clips, generator=generator, config=WORLD, combinations=HELD_OUT)
    return Examples(drawn.clips, Condition(words=indices(drawn.captions)))


def compare_inflated(
    *, cpu_seconds: float, seed: int, image_share: float = IMAGE_SHARE, num_each: int = 2
) -> dict[str, dict[str, float]]:
    """Train with pictures first and with clips alone, at the same CPU time in all, and measure both.

    Args:
        cpu_seconds: of each of the two.
        seed: of the trainings.
        image_share: of the CPU seconds, what goes to pictures.
        num_each: clips of each caption that are judged.

    Returns:
        For "video, inflated" and for "video from scratch": the loss on held-out clips, the steps on clips, the CPU
        seconds, and the judge's rates for all captions.
    """
    image_seconds = image_share * cpu_seconds
    first, both = train_inflated(seed=seed, image_seconds=image_seconds, video_seconds=cpu_seconds - image_seconds)
    run = DenoiserRun(name="video from scratch", setting=VIDEO_SETTING, seed=seed, cpu_seconds=cpu_seconds)
    second, alone = train_denoiser(run)
    found = {}
    for name, network, histories in (("video, inflated", first, both), (run.name, second, (alone,))):
        found[name] = {
            "loss, held out": held_out_loss(network),
            "steps": float(len(histories[-1].losses)),
            "CPU seconds": sum(history.cpu_seconds for history in histories),
        } | judge_drawn(network, num_each=num_each, seed=12101).rates()
    return found
