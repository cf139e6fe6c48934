"""How quickly the datasets render, on one thread, in CPU time."""

from collections.abc import Callable
from statistics import median

import torch

from course.budget import cpu_time, generator
from course.datasets.digits import load_digits, moving_digits
from course.datasets.photos import load_photo, photo_clips, photo_names
from course.datasets.sprites import SpriteConfig, sample

NUM_FRAMES = 20
SIZE = 64


def datasets(num_clips: int = 64, repetitions: int = 9) -> None:
    """Print the milliseconds per batch and the clips per second of each dataset: 20 frames of 64 x 64, one thread.

    Args:
        num_clips: clips in a batch, at least 1.
        repetitions: batches timed, at least 1; the median is printed.
    """
    config = SpriteConfig(size=SIZE, num_frames=NUM_FRAMES)
    digits, labels = load_digits()
    photos = [load_photo(name) for name in photo_names()]
    makers: dict[str, Callable[[torch.Generator], object]] = {
        "sprites": lambda chance: sample(num_clips, generator=chance, config=config),
        "digits": lambda chance: moving_digits(num_clips, generator=chance, images=digits, labels=labels),
        "photos": lambda chance: photo_clips(
            num_clips, generator=chance, photos=photos, num_frames=NUM_FRAMES, size=SIZE
        ),
    }
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        print(f"{num_clips} clips of {NUM_FRAMES} x {SIZE} x {SIZE}, one thread, median of {repetitions} batches")
        print(f"{'dataset':<10}{'ms per batch':>14}{'clips per second':>18}")
        for name, make in makers.items():
            seconds = _median_seconds(make, repetitions)
            print(f"{name:<10}{1000 * seconds:>14.3f}{num_clips / seconds:>18.0f}")
    finally:
        torch.set_num_threads(num_threads)


def _median_seconds(make: Callable[[torch.Generator], object], repetitions: int) -> float:
    make(generator(0))  # the first call warms caches up and is not counted
    seconds = []
    for seed in range(repetitions):
        with cpu_time() as watch:
            make(generator(seed))
        seconds.append(watch.cpu_seconds)
    return median(seconds)
