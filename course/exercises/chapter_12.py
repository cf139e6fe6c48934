"""The exercises of chapter 12: what is seen of known frames, clamping, the loss, motion strength, a score that is fair.

Each is tested where a batch has as many clips as frames, so that dimensions put in the wrong place fit, too.
"""

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from course import budget
from course.datasets import sprites
from course.datasets.captions import Combination, caption
from course.datasets.sprites import SpriteConfig
from course.diffusion.samplers import noise_steps
from course.diffusion.schedule import to_signed
from course.evaluation.judge import judge
from course.exercises.checking import Exercise, close, holds, same
from course.generation.image_to_video import known_frames

WORLD = SpriteConfig(size=16, num_frames=8)


def _where(known: Tensor) -> Tensor:
    return known[:, :, None, None, None]


def _different(usual: dict[str, Tensor], wanted: Tensor) -> dict[str, Tensor]:
    """Keep the mistakes that can be told from what is right."""
    return {words: value for words, value in usual.items() if value.shape != wanted.shape or not _alike(value, wanted)}


def _first_of(known: Tensor) -> Tensor:
    """Leave of what is known frame 0 alone."""
    return known & (torch.arange(known.shape[1]) == 0)


def _with_first(known: Tensor) -> Tensor:
    """Add frame 0 to what is known."""
    return known | (torch.arange(known.shape[1]) == 0)


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-3)


# What the network sees


def _seen(frames: Tensor, mask: Tensor) -> Tensor:
    """Put a mask (B, T, 1, 1, 1) behind the channels of frames."""
    return torch.cat([frames, mask.to(frames).expand_as(frames[:, :, :1])], dim=2)


def _given_mistakes(clips: Tensor, known: Tensor) -> dict[str, Tensor]:
    mask, signed = _where(known), to_signed(clips)
    frames, wanted = signed * mask, known_frames(clips, known)
    B, T = known.shape
    usual = {
        "the mask is missing: a fourth channel says which frames are known": frames,
        "the mask is upside down: it is 1 where a frame is known": _seen(frames, ~mask),
        "the mask and the frames are upside down: what is not known is shown": known_frames(clips, ~known),
        "the values of the frames are still in [0, 1]: black is -1 inside the network, and 0 says nothing": _seen(
            clips * mask, mask
        ),
        "frames that are not known are black, -1: they are to be 0, so move the values to [-1, 1] first and then take "
        "away what is not known": _seen(to_signed(clips * mask), mask),
        "frames that are not known can be seen: there all colours are to be 0": _seen(signed, mask),
        "the frames stand in reverse order, the last one first": wanted.flip(1),
        "the last frame stands first in the colours, and the mask is in order": _seen(frames.flip(1), mask),
        "the mask stands before the colours: it is the last channel": wanted.roll(1, dims=2),
        "all frames are said to be known": _seen(frames, torch.ones_like(mask)),
        "no frame is said to be known: the mask is 0 everywhere": _seen(frames, torch.zeros_like(mask)),
        "the first frame stands in every frame: each known frame stands in its own place": _seen(
            signed[:, :1].expand_as(signed), mask
        ),
        "only frame 0 is shown: `known` may name any frames": known_frames(clips, _first_of(known)),
        "the first clip's mask stands for all clips: each has its own": known_frames(clips, known[:1].expand_as(known)),
        "a frame is called known by its colours: grey, 0.5, is a colour, too, so take the mask from `known`": _seen(
            frames, (frames != 0).any(dim=2, keepdim=True)
        ),
        "a frame is called known by its colours: a picture may be grey, 0.5, all over, so take the mask from `known`": (
            _seen(frames, (frames != 0).flatten(2).any(dim=2)[:, :, None, None, None])
        ),
        "the mask has three channels: one is enough, it is the same for all colours": torch.cat(
            [frames, mask.to(frames).expand_as(frames)], dim=2
        ),
        "the mask is in [-1, 1], too: it is 1 where a frame is known and 0 where not": torch.cat(
            [frames, 2 * mask.to(frames).expand_as(frames[:, :, :1]) - 1], dim=2
        ),
    }
    if B == T:
        usual["the mask of clip b landed on frame b of every clip: B and T are the same number here"] = known_frames(
            clips, known.T.contiguous()
        )
    return usual


def _given(answer: object) -> None:
    chance = budget.generator(0)
    ends, first = torch.zeros(5, 5, dtype=torch.bool), torch.zeros(3, 8, dtype=torch.bool)
    ends[:, 0], ends[:2, -1], ends[2, 3] = True, True, True
    first[:2, 0] = True  # of the third clip nothing is known
    for known in (ends, first):
        clips = torch.rand(*known.shape, 3, 4, 4, generator=chance)
        clips[1, 0] = 0.5  # a picture that is grey all over
        clips[0, 0, :, 0, 0] = 0.5  # and one that is grey in one place
        wanted = known_frames(clips, known)
        same(
            answer(clips, known),
            wanted,
            what="what is seen",
            usual=_different(_given_mistakes(clips, known), wanted),
            look="wanted `to_signed(clips)` where a frame is known, 0 elsewhere; behind it a channel of ones and zeros",
        )
    other = torch.where(_where(first), clips, torch.rand(clips.shape, generator=chance))
    holds(
        torch.allclose(answer(other, first), answer(clips, first)),
        "frames that are not known change what is seen: nothing of them may come through.",
    )


# Held to what is known


class _Recorder:
    """A denoiser that can be computed by hand; what it says of a frame depends on all frames, and stays in [-1, 1]."""

    def __init__(self) -> None:
        self.asked: list[Tensor] = []

    def __call__(self, z: Tensor, noise_step: Tensor) -> Tensor:
        holds(
            isinstance(noise_step, Tensor) and noise_step.shape == z.shape[:1],
            f"the denoiser was told {_form(noise_step)}, wanted a tensor with one noise step for each of {len(z)} "
            "clips.",
        )
        self.asked.append(z.detach())
        return self.answer(z, noise_step)

    def answer(self, z: Tensor, noise_step: Tensor) -> Tensor:
        return torch.tanh(0.6 * z + 0.5 * z.mean(dim=1, keepdim=True) + 0.2 * noise_step.view(-1, 1, 1, 1, 1))


def _form(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _walk(
    denoise: _Recorder,
    noise: Tensor,
    frames: Tensor,
    known: Tensor,
    steps: Tensor,
    *,
    how: str = "",
) -> Tensor:
    """Walk as the exercise asks, or with one of the usual mistakes."""
    where = _where(known)
    z = torch.where(where, frames, noise) if how == "start" else noise
    pairs = list(pairwise(steps))
    for i, (here, there) in enumerate(pairs):
        asked = torch.where(where, frames, z) if how == "shown" else noise if how == "noise" else z
        clean = denoise.answer(asked, (there if how == "there" else here).expand(len(z)))
        last = i == len(pairs) - 1
        held = {"first": i == 0, "last": last, "but last": not last, "second": i % 2 == 0, "not": False, "start": False}
        if held.get(how, True):
            clean = torch.where(where, frames, clean)
        z = z + (there - here) * (z - clean) / (1 if how == "whole" else here)
        if how == "state":
            z = torch.where(where, frames, z)
        elif how == "jump":
            z = (1 - there) * clean + there * noise
    return z


def _hold(answer: object) -> None:
    chance = budget.generator(1)
    for (B, T), steps in (((4, 4), noise_steps(5)), ((2, 6), noise_steps(4, shift=3.0))):
        noise = torch.randn(B, T, 3, 2, 2, generator=chance)
        frames = torch.rand(B, T, 3, 2, 2, generator=chance) * 2 - 1
        known = torch.zeros(B, T, dtype=torch.bool)
        known[:, 0], known[0, -1], known[1, 2] = True, True, True
        denoise = _Recorder()

        def walk(
            how: str = "",
            denoise: _Recorder = denoise,
            noise: Tensor = noise,
            frames: Tensor = frames,
            known: Tensor = known,
            steps: Tensor = steps,
        ) -> Tensor:
            return _walk(denoise, noise, frames, known, steps, how=how)

        wanted = walk()
        usual = {
            "the picture was used in the first step only: hold the answer in every step": walk("first"),
            "the picture was pasted over the result, or held in the last step only: in the steps before, the other "
            "frames never saw it": walk("last"),
            "the walk began with the picture in place of noise, and let go of it": walk("start"),
            "z itself was overwritten with clean frames: it keeps its noise, what is replaced is the answer": walk(
                "state"
            ),
            "nothing was held: this is the sampler without the picture": walk("not"),
            "the picture was let go of in the last step: hold the answer in every step": walk("but last"),
            "the picture was held in every second step: hold the answer in every step": walk("second"),
            "the denoiser was shown clean frames in z: it keeps its noise, what is replaced is the answer": walk(
                "shown"
            ),
            "the denoiser was shown the first noise in every step: show it z, as far as the walk has come": walk(
                "noise"
            ),
            "the step is not divided by `here`: (z - clean) / here is the direction": walk("whole"),
            "each step set out from the first noise again: walk on from z": walk("jump"),
            "only frame 0 was held: `known` may name any frames": walk(known=_first_of(known)),
            "the first clip's mask stands for all clips: each has its own": walk(known=known[:1].expand_as(known)),
            "the mask is upside down: the answer is replaced where a frame is known": walk(known=~known),
            "the frames are moved to [-1, 1] once more: they are there already": walk(frames=2 * frames - 1),
            "the frames are in [0, 1]: they are in [-1, 1] already, leave them as they are": walk(
                frames=(frames + 1) / 2
            ),
            "the last frame stands first: the frames are in reverse order": walk(frames=frames.flip(1)),
            "known frames are held to the first one: each is held to itself": walk(
                frames=frames[:, :1].expand_as(frames)
            ),
            "the frames were put under noise before they were held: the answer is a clean clip": _noisy_held(
                denoise, noise, frames, known, steps
            ),
            "the denoiser was told where the walk goes: tell it where it is": walk("there"),
            "the steps were visited from 0 to 1: begin with noise alone, at 1": walk(steps=steps.flip(0).clamp(1e-3)),
            "the last step is missing: the walk ends at 0": walk(steps=steps[:-1]),
        }
        if B == T:
            usual["the mask of clip b landed on frame b of every clip: B and T are the same number here"] = walk(
                known=known.T.contiguous()
            )
        got = answer(denoise, noise, frames, known, steps)
        holds(len(denoise.asked) > 0, "the denoiser was not asked.")
        same(
            got,
            wanted,
            usual=_different(usual, wanted),
            look="in each step: ask, replace the answer where a frame is known, walk",
        )
        holds(
            len(denoise.asked) == len(steps) - 1,
            f"the denoiser was asked {len(denoise.asked)} times, wanted once for each of {len(steps) - 1} steps.",
        )


def _noisy_held(denoise: _Recorder, noise: Tensor, frames: Tensor, known: Tensor, steps: Tensor) -> Tensor:
    z, where = noise, _where(known)
    for here, there in pairwise(steps):
        covered = (1 - here) * frames + here * noise
        clean = torch.where(where, covered, denoise.answer(z, here.expand(len(z))))
        z = z + (there - here) * (z - clean) / here
    return z


# The loss


class _Told:
    """A network that can be computed by hand; it remembers what it was asked."""

    def __init__(self) -> None:
        self.factor = torch.tensor(0.7, requires_grad=True)
        self.asked = 0

    def __call__(self, z: Tensor, noise_step: Tensor, given: Tensor) -> Tensor:
        for name, value, wanted in (
            ("the noise step", noise_step, z.shape[:1]),
            ("what is known", given, (*z.shape[:2], z.shape[2] + 1, *z.shape[3:])),
        ):
            holds(
                isinstance(value, Tensor) and value.shape == wanted,
                f"the network was shown {name} as {_form(value)}, wanted a tensor {tuple(wanted)}.",
            )
        self.asked += 1
        return self.answer(z, noise_step, given)

    def answer(self, z: Tensor, noise_step: Tensor, given: Tensor) -> Tensor:
        colours, mask = given[:, :, :3], given[:, :, 3:]
        own = torch.tanh(z) + 0.5 * colours + 0.3 * mask
        return self.factor * own + 0.2 * own.mean(dim=1, keepdim=True) + 0.1 * noise_step.view(-1, 1, 1, 1, 1)


def _loss_mistakes(
    network: _Told, clean: Tensor, known: Tensor, noise_step: Tensor, epsilon: Tensor
) -> dict[str, Tensor]:
    s, mask = noise_step.view(-1, 1, 1, 1, 1), _where(known)
    z, given = (1 - s) * clean + s * epsilon, _seen(clean * mask, mask)

    def error(z: Tensor = z, given: Tensor = given, wanted: Tensor = clean, told: Tensor = noise_step) -> Tensor:
        return (network.answer(z, told, given) - wanted).square().mean()

    answer = network.answer(z, noise_step, given)
    squares = (answer - clean).square()
    hidden = (~mask).expand_as(squares)
    columns = (1 - noise_step) * clean + noise_step * epsilon if len(noise_step) == clean.shape[-1] else z
    return {
        "what is known is shown under noise, like the rest: show it clean, that is what it is told for": error(
            given=_seen(z * mask, mask)
        ),
        "what is known is shown as noise": error(given=_seen(epsilon * mask, mask)),
        "frames that are not known are shown, clean: the network would only have to copy them": error(
            given=_seen(clean, mask)
        ),
        "the mask is upside down: what is not known is shown": error(given=_seen(clean * ~mask, ~mask)),
        "the mask's channel is upside down: it is 1 where a frame is known": error(given=_seen(clean * mask, ~mask)),
        "the mask is 0 everywhere: the network cannot tell a grey frame from one that is not known": error(
            given=_seen(clean * mask, torch.zeros_like(mask))
        ),
        "known frames are shown in [0, 1]: everything is in [-1, 1] here": error(
            given=_seen((clean + 1) / 2 * mask, mask)
        ),
        "known frames were moved to [-1, 1] once more: they are there already": error(
            given=_seen((2 * clean - 1) * mask, mask)
        ),
        "the last frame is shown first: the frames are in reverse order": error(given=given.flip(1)),
        "the mask stands before the colours: it is the last channel": error(given=given.roll(1, dims=2)),
        "frames that are not known are shown black, -1: they are to be 0": error(
            given=_seen(torch.where(mask, clean, -1.0), mask)
        ),
        "only frame 0 is shown: `known` may name any frames": error(
            given=_seen(clean * _where(_first_of(known)), _where(_first_of(known)))
        ),
        "frame 0 is always shown: `known` may leave it out": error(
            given=_seen(clean * _where(_with_first(known)), _where(_with_first(known)))
        ),
        "all frames have the noise of the first: each has its own": error(z=(1 - s) * clean + s * epsilon[:, :1]),
        "all clips have the first one's noise step": error(z=(1 - s[0]) * clean + s[0] * epsilon),
        "no noise lies over the known frames: it lies over all of them, and the network copies what it is shown": error(
            z=torch.where(mask, clean, z)
        ),
        "the network was shown the clean clip, without noise": error(z=clean),
        "the network was shown the noise alone": error(z=epsilon),
        "the factors are exchanged: the clip is multiplied by 1 - s and the noise by s": error(
            z=s * clean + (1 - s) * epsilon
        ),
        "the noise step of clip b landed on the pixels of column b: give it four dimensions behind the first": error(
            z=columns
        ),
        "the network was not told the noise step": error(told=torch.zeros_like(noise_step)),
        "the answer is compared with the noise: asked for is the clean clip": error(wanted=epsilon),
        "the answer is compared with what the network was shown": error(wanted=z),
        "the answer is compared with the velocity, epsilon - clean: asked for is the clean clip": error(
            wanted=epsilon - clean
        ),
        "only the frames that are not known are counted: wanted the mean over all frames": squares[hidden].mean(),
        "only the known frames are counted: wanted the mean over all frames": squares[~hidden].mean(),
        "the errors of the known frames are set to 0: wanted the mean over all frames": (squares * ~mask).mean(),
        "the errors are summed: wanted their mean": squares.sum(),
        "the errors of the colours are summed: wanted the mean over all values": squares.sum(dim=2).mean(),
        "this is the root of the error: wanted the mean of the squares": squares.mean().sqrt(),
        "this is the mean absolute error: wanted the squared one": (answer - clean).abs().mean(),
    }


def _loss(answer: object) -> None:
    chance = budget.generator(2)
    for B, T, side in ((3, 3, 3), (2, 5, 4)):
        clean = torch.rand(B, T, 3, side, side, generator=chance) * 2 - 1
        epsilon = torch.randn(clean.shape, generator=chance)
        s = torch.tensor([0.9, 0.4, 0.7])[:B]
        known = torch.zeros(B, T, dtype=torch.bool)
        known[:, 0], known[0, -1], known[1, 0], known[1, 1] = True, True, False, True
        network, mask = _Told(), _where(known)
        noisy = (1 - s.view(-1, 1, 1, 1, 1)) * clean + s.view(-1, 1, 1, 1, 1) * epsilon
        wanted = (network.answer(noisy, s, _seen(clean * mask, mask)) - clean).square().mean()
        usual = _loss_mistakes(network, clean, known, s, epsilon)
        got = answer(network, clean, known, s, epsilon)
        holds(network.asked > 0, "the network was not asked.")
        close(
            got,
            wanted.item(),
            usual={words: value.item() for words, value in usual.items() if (value - wanted).abs() > 1e-3},
            look="noise over all frames; beside them the known ones, clean, and the mask; compare with the clean clip",
            tolerance=1e-5,
        )
        holds(network.asked == 1, f"the network was asked {network.asked} times: once is enough.")
        holds(
            isinstance(got, Tensor) and got.requires_grad,
            "no gradient comes to the network: return the tensor itself, not its number, and detach nothing.",
        )
        (due,) = torch.autograd.grad(wanted, network.factor)
        (came,) = torch.autograd.grad(got, network.factor, allow_unused=True)
        holds(
            came is not None and torch.allclose(came, due, rtol=1e-3, atol=1e-6),
            "the number is right, and another gradient comes to the network: was something detached?",
        )


# Motion strength


def _strength_mistakes(position: Tensor, is_told: Tensor, fastest: float) -> dict[str, Tensor]:
    steps = position.diff(dim=1)
    lengths = steps.norm(dim=2)
    strength, flag = (lengths.mean(dim=1) / fastest).clamp(max=1), is_told.float()

    def pair(value: Tensor, flag: Tensor = flag, mask: Tensor = flag) -> Tensor:
        return torch.stack([value * mask, flag], dim=1)

    one = torch.ones_like(flag)
    far = (position[:, -1] - position[:, 0]).norm(dim=1)
    around = torch.cat([steps, (position[:, :1] - position[:, -1:])], dim=1).norm(dim=2)
    return {
        "motion strength is ignored: the first number is to be the strength, where it is told": pair(
            torch.zeros_like(strength)
        ),
        "nothing is told: both numbers are 0 for all clips": torch.zeros_like(pair(strength)),
        "all clips have the same strength: wanted one for each": pair(strength.mean().expand_as(strength)),
        "strength is told of clips where it is not to be: there the first number is 0, too": pair(strength, mask=one),
        "the second number is upside down: 1 where the strength is told": pair(strength, flag=1 - flag),
        "told where it is not to be told, and the other way round": pair(strength, flag=1 - flag, mask=1 - flag),
        "the second number is 1 for all clips: it says where the strength is told": pair(strength, flag=one),
        "the two numbers are exchanged: the strength comes first": pair(strength).flip(1),
        "rows and columns are exchanged: two numbers for each clip, (B, 2)": pair(strength).T,
        "this is the way from the first place to the last: who goes round or turns back has moved, too; take the mean "
        "length of the steps": pair((far / (position.shape[1] - 1) / fastest).clamp(max=1)),
        "the length of the mean step: steps there and back cancel; take the length of each, then the mean": pair(
            (steps.mean(dim=1).norm(dim=1) / fastest).clamp(max=1)
        ),
        "the steps are summed: wanted their mean": pair((lengths.sum(dim=1) / fastest).clamp(max=1)),
        "this is the longest step: wanted the mean": pair((lengths.amax(dim=1) / fastest).clamp(max=1)),
        "the strength is in pixels: it is a share of the fastest": pair(lengths.mean(dim=1).clamp(max=1)),
        "the strength is in pixels, and may be above 1: it is a share of the fastest, at most 1": pair(
            lengths.mean(dim=1)
        ),
        "strengths above 1 came: cut them off there": pair(lengths.mean(dim=1) / fastest),
        "rows and columns were added: the length of a step is the root of the sum of their squares": pair(
            (steps.abs().sum(dim=2).mean(dim=1) / fastest).clamp(max=1)
        ),
        "the steps are divided by 7, whatever the clip's length: take their mean": pair(
            (lengths.sum(dim=1) / 7 / fastest).clamp(max=1)
        ),
        "the steps are divided by the number of frames: there is one step less": pair(
            (lengths.sum(dim=1) / position.shape[1] / fastest).clamp(max=1)
        ),
        "each step was cut off at the fastest: take the mean first, it is the share that is at most 1": pair(
            (lengths / fastest).clamp(max=1).mean(dim=1)
        ),
        "this is the root of the mean square of the steps: wanted the mean of their lengths": pair(
            (lengths.square().mean(dim=1).sqrt() / fastest).clamp(max=1)
        ),
        "this is the first step alone: wanted the mean of all": pair((lengths[:, 0] / fastest).clamp(max=1)),
        "the way back from the last frame to the first is counted: a clip has no such step": pair(
            (around.mean(dim=1) / fastest).clamp(max=1)
        ),
        "the distance from the frame's corner was taken: a step is the difference of two places": pair(
            (position.norm(dim=2).mean(dim=1) / fastest).clamp(max=1)
        ),
    }


def _strength(answer: object) -> None:
    turn = torch.arange(8) * 0.7
    paths = torch.stack(
        [
            torch.stack([4 + 0.5 * torch.arange(8), 4 + 0.25 * torch.arange(8)], dim=1),  # straight
            8 + 1.2 * torch.stack([turn.sin(), turn.cos()], dim=1),  # round, nearly back at the start
            torch.tensor([8.0, 9.0] * 4)[:, None].expand(8, 2) * torch.tensor([1.0, 0.0]),  # there and back
            torch.full((8, 2), 7.0),  # still
            torch.stack([3 + 1.5 * torch.arange(8), torch.full((8,), 3.0)], dim=1),  # faster than the fastest
            torch.stack([torch.tensor([3, 3, 3, 3, 5, 5, 5, 5.0]), torch.full((8,), 6.0)], dim=1),  # one jump
        ]
    )
    short = paths[[0, 1, 2, 3, 5], 2:7]  # as many clips as frames
    for position, is_told, fastest in (
        (paths, torch.tensor([True, True, True, True, True, False]), 1.28),
        (paths, torch.tensor([True, False, True, False, True, True]), 1.1),
        (short, torch.tensor([True, True, False, True, True]), 1.28),
    ):
        strength = (position.diff(dim=1).norm(dim=2).mean(dim=1) / fastest).clamp(max=1)
        wanted = torch.stack([strength * is_told, is_told.float()], dim=1)
        same(
            answer(position, is_told, fastest),
            wanted,
            usual=_different(_strength_mistakes(position, is_told, fastest), wanted),
            look="the lengths of the steps, their mean, the share; then what is not told becomes 0",
        )


# A score that no frozen clip wins


def _cases() -> tuple[Tensor, Tensor, list[str], list[bool], list[str]]:
    """Make clips that win all of the tests, or all but one.

    Returns:
        The clips, the pictures that they should begin with, their captions, what is right, and what each clip is.
    """
    config, chance = WORLD, budget.generator(3)
    moves, stands = Combination("red", "circle", "right"), Combination("blue", "square", "still")
    state = sprites.sample_state([moves, moves, stands], generator=chance, config=config)
    one, other, still = sprites.render(state, config=config)
    green = sprites.render(replace(state, colour=torch.ones_like(state.colour)), config=config)[0]
    smeared = torch.cat([one[:6], 0.3 * one[6:7] + 0.7 * one[:1], one[7:]])
    two = one.clone()
    two[3:] = torch.maximum(one[3:], one[3:].roll(7, dims=2))  # a second circle below the first
    blue = one.clone()
    blue[0, 2] = _off(one[0, 2], 23)  # 28 decibels over the three colours, the other two of which are perfect
    cases = (
        ("a real clip", one, one, moves, True),
        ("a clip whose first frame is a good copy", _copied(one, 31), one, moves, True),
        ("a clip that stands still as it was told", still, still, stands, True),
        ("a clip that moves by another law than its caption asks for", one, one, moves._replace(motion="up"), True),
        ("a frozen clip", one[:1].repeat(8, 1, 1, 1), one, moves, False),
        ("a clip of another sprite's place", other, one, moves, False),
        ("a clip whose colour changes", torch.cat([one[:4], green[4:]]), one, moves, False),
        ("a clip with the picture pasted over frame 0", torch.cat([one[:1], other[1:]]), one, moves, False),
        (
            "a clip with a smeared frame",
            smeared,
            one,
            moves,
            False,
        ),
        ("a clip in which a second sprite appears", two, one, moves, False),
        ("a clip whose first frame is a rough copy", _copied(one, 29), one, moves, False),
        ("a clip whose first frame is bluer than the picture", blue, one, moves, False),
        ("a real clip that ends with the picture", one, one[7:], moves, False),
    )
    names, clips, begins, asked, right = zip(*cases, strict=True)
    pictures = torch.stack([begin[0] for begin in begins])
    return torch.stack(clips), pictures, [caption(one) for one in asked], list(right), list(names)


def _off(frame: Tensor, decibels: float) -> Tensor:
    """Move every value of a frame, up or down, by as much as so many decibels say."""
    far = 10 ** (-decibels / 20)
    return frame + torch.where(frame < 0.5, far, -far)


def _copied(clip: Tensor, decibels: float) -> Tensor:
    """Make a clip whose first frame is so many decibels away from what it was."""
    return torch.cat([_off(clip[:1], decibels), clip[1:]])


def _good(answer: object) -> None:
    clips, pictures, captions, right, names = _cases()
    verdict = judge(clips, captions, config=WORLD)
    same_frame = -10 * (clips[:, 0] - pictures).square().mean(dim=(1, 2, 3)).log10()
    every = -10 * (clips - pictures[:, None]).square().mean(dim=(2, 3, 4)).log10()
    close_by = same_frame >= 30
    rest = verdict.valid & verdict.identity & verdict.motion
    wanted = torch.tensor(right)
    usual = {
        "a frozen clip is scored as perfect: first frame and IDENTITY say nothing of motion": close_by
        & verdict.valid
        & verdict.identity,
        "a frozen clip is good here: first frame, IDENTITY or VALID alone say nothing of motion": close_by
        & verdict.identity,
        "the first frame is not compared with the picture": rest,
        "VALID is not asked for: a frame may show more than a sprite": close_by & verdict.identity & verdict.motion,
        "CAPTION is asked for: take verdict.motion, any law of motion is right": close_by & rest & verdict.caption,
        "one test is enough here: a good clip passes all four": close_by
        | verdict.valid
        | verdict.identity
        | verdict.motion,
        "a good clip is called bad and the other way round": ~wanted,
        "fewer decibels are worse: good is 30 and more": ~close_by & rest,
        "all frames are compared with the picture, and what moves is punished": (every.mean(dim=1) >= 30) & rest,
        "every frame has to be the picture: then nothing may move": (every >= 30).all(dim=1) & rest,
        "the last frame is compared with the picture: it is to begin with it": (every[:, -1] >= 30) & rest,
        "some frame has to be the picture: the first one has": (every >= 30).any(dim=1) & rest,
        "the law of motion is asked for alone, also of what is told to stand still: take verdict.motion": close_by
        & verdict.valid
        & verdict.identity
        & (verdict.motion_error <= 0.03),
        "what is told to stand still may stand still: take verdict.motion as it is": close_by
        & rest
        & torch.tensor([found.motion != "still" for found in verdict.combinations]),
        "wanted a first frame of 30 decibels and more, and this is stricter": (same_frame >= 60) & rest,
        "wanted a first frame of 30 decibels and more, and this is laxer": (same_frame >= 20) & rest,
    }
    got = answer(clips, pictures, verdict)
    if isinstance(got, Tensor) and got.shape == wanted.shape and got.dtype == torch.bool:
        for words, mistaken in usual.items():
            holds(torch.equal(got, wanted) or not torch.equal(got, mistaken), f"{words}.")
        for (name, good), came in zip(zip(names, right, strict=True), got.tolist(), strict=True):
            holds(
                came == good,
                f"{name} is called {'good' if came else 'bad'}, and it is {'good' if good else 'not'}. Does the first "
                "frame count, and VALID, IDENTITY and MOTION?",
            )
    same(got, wanted, look="True or False for each clip: four tests, joined by &")
    turned = judge(clips.flip(0), captions[::-1], config=WORLD)
    holds(
        torch.equal(answer(clips.flip(0), pictures.flip(0), turned), wanted.flip(0)),
        "the same clips in another order are judged differently: each clip is judged by itself.",
    )


def _put(clips: Tensor, known: Tensor) -> Tensor:
    return known_frames(clips, known)


EXERCISES = (
    Exercise(
        "12-given",
        _given,
        "known frames clean and in their places, nothing of the others, and a mask that tells them apart",
        (
            "Two parts, joined along the channels: the colours of the known frames, and the mask.",
            "`known` is (B, T), the clips are (B, T, 3, H, W): where must the missing dimensions stand? And which "
            "comes first, moving to [-1, 1] or taking away what is not known?",
            "`mask = known[:, :, None, None, None].float()`, `frames = to_signed(clips) * mask`, and `torch.cat` along "
            "dim 2 with the mask expanded to one channel of the frames' size.",
        ),
        _put,
    ),
    Exercise(
        "12-hold",
        _hold,
        "held in every step, and the noise of the walk is left alone",
        (
            "`my_euler` of chapter 09 with one line more, between the answer and the step.",
            "`torch.where(condition, one, other)` takes from the first where the condition is True; `known` needs "
            "three dimensions more.",
            "In the loop: `clean = torch.where(known[:, :, None, None, None], frames, denoise(z, "
            "here.expand(len(z))))`, then the step with `(z - clean) / here`.",
        ),
    ),
    Exercise(
        "12-loss",
        _loss,
        "noise over everything, and what is known beside it without any",
        (
            "Two things are made of the clean clip: the noisy clip, and what is known of it. Which of them has noise?",
            "What is known: the clean frames times the mask, and the mask as a fourth channel. The noise step has one "
            "number for each clip and needs four dimensions more.",
            "`answer = network((1 - s) * clean + s * epsilon, noise_step, given)`, and the mean of "
            "`(answer - clean).square()`.",
        ),
    ),
    Exercise(
        "12-strength",
        _strength,
        "the mean length of the steps, told where it is to be told",
        (
            "`position.diff(dim=1)` are the steps, (B, T - 1, 2). What is the length of one?",
            "Lengths first, then their mean, then the share of the fastest, then `clamp(max=1)`.",
            "`flag = is_told.float()`, and `torch.stack([strength * flag, flag], dim=1)`.",
        ),
    ),
    Exercise(
        "12-good",
        _good,
        "the picture, a sprite, the same one, and it moves: all four at once",
        (
            "A clip is good if it passes all four tests; for tensors of True and False `&` says so.",
            "`psnr` wants two clips, and gives a number for each frame: the first frame is `clips[:, :1]`, the picture "
            "as a clip of one frame `pictures[:, None]`.",
            "`same = psnr(clips[:, :1], pictures[:, None])[:, 0] >= 30`, then `same & verdict.valid & "
            "verdict.identity & verdict.motion`.",
        ),
    ),
)
