"""The floor of the digits' task: what even a perfect observer of the ten given frames cannot predict."""

from itertools import count

import torch
from torch import Tensor

from course.clips import expect_tensor
from course.datasets.digits import FRAME_SIZE, NUM_FRAMES, STEP, draw, travel

NUM_CONTEXT = 10
_REACH = 0.2, 0.13
"""How far from the truth another angle (radians) or start (fraction of the room) may lie, and still look the same."""


def floor(
    num_clips: int, *, generator: torch.Generator, images: Tensor, num_futures: int = 64, num_tries: int = 256
) -> Tensor:
    """Estimate the least squared error that a prediction can have on average.

    The observer knows the images of both digits, and at which whole pixel each was drawn in the ten given frames. It
    does not know the fraction of the pixel, nor, therefore, the exact start and direction. Those that agree with all
    that was seen are equally likely; the mean of their futures is the best prediction in squared error.

    A start and a direction decide the path, and given the direction, rows and columns go their own ways: for each of
    ``num_tries`` directions, as many starts are tried along each axis.

    Args:
        num_clips: clips of two digits to average over, at least 1.
        generator: where chance comes from.
        images: (N, 1, h, w), float32 in [0, 1]: the digits.
        num_futures: futures to take the mean of, for each clip.
        num_tries: directions, and starts along each axis, that are tried for each digit.

    Returns:
        (10,): for each predicted frame, the squared error summed over its pixels.
    """
    expect_tensor(images, "N 1 H W", name="images")
    if min(num_clips, num_futures, num_tries) < 1:
        raise ValueError(f"wanted at least one clip, future and try, got {num_clips}, {num_futures} and {num_tries}")
    room = FRAME_SIZE - torch.tensor(images.shape[2:])
    total = torch.zeros(NUM_FRAMES - NUM_CONTEXT)
    for _ in range(num_clips):
        digits = images[torch.randint(len(images), (2,), generator=generator), 0]  # (2, h, w)
        paths = []
        for _ in digits:
            start, angle = torch.rand(2, generator=generator), 2 * torch.pi * torch.rand((), generator=generator)
            truth = _corners(start[None], angle[None], room)  # (1, T, 2)
            others = _futures(start, angle, room, num_futures, num_tries, generator)  # (num_futures, 10, 2)
            paths.append(torch.cat([truth[:, NUM_CONTEXT:], others]))
        frames = draw(digits.expand(num_futures + 1, *digits.shape), torch.stack(paths, dim=2))
        error = (frames[0] - frames[1:].mean(dim=0)).square().sum(dim=(1, 2))  # (10,)
        total += error / (1 + 1 / num_futures)  # the mean of n futures errs by a variance of its own, 1 / n of theirs
    return total / num_clips


def _corners(start: Tensor, angle: Tensor, room: Tensor) -> Tensor:
    """Return the whole pixels, (N, T, 2), along the paths of starts (N, 2) and angles (N,)."""
    velocity = STEP * torch.stack([angle.sin(), angle.cos()], dim=-1)
    return (travel(start, velocity, NUM_FRAMES).movedim(0, 1) * room).long()


def _futures(
    start: Tensor, angle: Tensor, room: Tensor, number: int, num_tries: int, generator: torch.Generator
) -> Tensor:
    """Draw futures, (number, 10, 2), that look in the given frames as the path of one start and angle does."""
    seen = _corners(start[None], angle[None], room)[0, :NUM_CONTEXT]  # (10, 2)
    for attempt in count():  # a path that few others resemble is looked for nearer to the truth
        reach = [reach / 2**attempt for reach in _REACH]
        angles = angle + reach[0] * (2 * torch.rand(num_tries, generator=generator) - 1)
        starts = start + reach[1] * (2 * torch.rand(num_tries, 2, generator=generator) - 1)
        inside = (starts >= 0) & (starts <= 1)
        fits = []
        for axis, speed in enumerate((angles.sin(), angles.cos())):
            places, speeds = torch.broadcast_tensors(starts[:, axis], STEP * speed[:, None])  # (angles, starts)
            path = (travel(places, speeds, NUM_CONTEXT) * room[axis]).long()
            same = (path == seen[:, axis, None, None]).all(dim=0)
            fits.append((same & inside[:, axis]).float())
        likelihood = fits[0].sum(dim=1) * fits[1].sum(dim=1)  # of each angle
        if likelihood.any():
            break
    chosen = likelihood.multinomial(number, replacement=True, generator=generator)
    rows, columns = (fit[chosen].multinomial(1, generator=generator)[:, 0] for fit in fits)
    chosen_starts = torch.stack([starts[rows, 0], starts[columns, 1]], dim=-1)
    return _corners(chosen_starts, angles[chosen], room)[:, NUM_CONTEXT:]
