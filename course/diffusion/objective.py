"""What a denoiser may be asked for, and how one answer is turned into another.

A noisy clip is ``z = signal * clean + noise * epsilon``. Whoever knows ``z`` and one of ``clean``, ``epsilon``, ``v``
or ``velocity`` knows all of them. So the question is a matter of training alone: samplers here take the clean clip.
"""

from collections.abc import Callable

from torch import Tensor

from course.diffusion.schedule import Schedule, diffuse, factors

Denoise = Callable[[Tensor, Tensor, object], Tensor]
"""From noisy clips (B, ...), their noise steps (B,) and a condition to an answer (B, ...)."""

ANSWERS: tuple[str, ...] = ("clean", "epsilon", "v", "velocity")
"""``clean``: the clip without noise. ``epsilon``: the noise. ``v``: how z changes as the angle from signal to noise
grows (Salimans and Ho 2022, arXiv 2202.00512, section 4), with schedules whose squared factors sum to 1. ``velocity``:
how z changes on the straight line to the noise, ``epsilon - clean``."""


def answer_of(answer: str, clean: Tensor, epsilon: Tensor, noise_step: Tensor, schedule: Schedule) -> Tensor:
    """Return the right answer for clips whose clean form and noise are known.

    Args:
        answer: one of ``ANSWERS``.
        clean: (B, ...).
        epsilon: (B, ...).
        noise_step: (B,).
        schedule: the factors.

    Returns:
        (B, ...).
    """
    if answer == "clean":
        return clean
    if answer == "epsilon":
        return epsilon
    if answer == "velocity":
        return epsilon - clean
    if answer == "v":
        signal, noise = factors(schedule, noise_step, like=clean)
        return signal * epsilon - noise * clean
    raise ValueError(f"answer: wanted one of {ANSWERS}, got {answer!r}")


def clean_from(answer: str, given: Tensor, noisy: Tensor, noise_step: Tensor, schedule: Schedule) -> Tensor:
    """Turn an answer into the clean clip that it stands for; the inverse of ``answer_of``.

    Args:
        answer: one of ``ANSWERS``.
        given: (B, ...), what a network answered.
        noisy: (B, ...), what it was shown.
        noise_step: (B,); ``epsilon`` says nothing of the clip where the signal is 0.
        schedule: the factors.

    Returns:
        (B, ...).
    """
    if answer == "clean":
        return given
    signal, noise = factors(schedule, noise_step, like=noisy)
    if answer == "epsilon":
        return (noisy - noise * given) / signal
    if answer == "velocity":
        return (noisy - noise * given) / (signal + noise)
    if answer == "v":
        return (signal * noisy - noise * given) / (signal.square() + noise.square())
    raise ValueError(f"answer: wanted one of {ANSWERS}, got {answer!r}")


def as_clean(network: Denoise, answer: str, schedule: Schedule) -> Denoise:
    """Make a denoiser that gives clean clips of one that gives another answer."""

    def denoise(noisy: Tensor, noise_step: Tensor, condition: object) -> Tensor:
        return clean_from(answer, network(noisy, noise_step, condition), noisy, noise_step, schedule)

    return denoise


def denoising_loss(
    network: Denoise,
    clean: Tensor,
    condition: object,
    *,
    noise_step: Tensor,
    epsilon: Tensor,
    schedule: Schedule,
    answer: str = "clean",
    weight: Tensor | None = None,
) -> Tensor:
    """Return the mean squared error of a network's answers.

    Args:
        network: what is trained.
        clean: (B, ...), values in [-1, 1].
        condition: handed to the network as it is.
        noise_step: (B,), a step for each clip.
        epsilon: (B, ...), noise.
        schedule: the factors.
        answer: what the network is asked for, one of ``ANSWERS``.
        weight: (B,), how much each clip's error counts; None counts all alike.

    Returns:
        One number.
    """
    given = network(diffuse(clean, epsilon, noise_step, schedule), noise_step, condition)
    error = (given - answer_of(answer, clean, epsilon, noise_step, schedule)).square().flatten(1).mean(dim=1)  # (B,)
    return error.mean() if weight is None else (weight * error).mean()


def exact_denoiser(clips: Tensor, schedule: Schedule) -> Denoise:
    """Return the best denoiser there is where the world holds a few clips, all equally likely.

    Given what is seen, each clip has a probability (Bayes' rule: the nearer, the likelier), and the mean of the clips
    with these probabilities has the least squared error. It knows no condition, and its samples are the clips
    themselves: a perfect denoiser of a finite set has learned it by heart.

    Args:
        clips: (N, ...), values in [-1, 1].
        schedule: the factors.
    """
    flat = clips.flatten(1)

    def denoise(noisy: Tensor, noise_step: Tensor, condition: object = None) -> Tensor:
        signal, noise = factors(schedule, noise_step, like=noisy.flatten(1))
        far = (noisy.flatten(1)[:, None] - signal[:, :, None] * flat).square().sum(dim=2)  # (B, N)
        likely = (-far / (2 * noise.square())).softmax(dim=1)
        return (likely @ flat).view_as(noisy)

    return denoise
