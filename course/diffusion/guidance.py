"""Classifier-free guidance: ask with the condition and without, and go further in the direction of the difference."""

from torch import Tensor

from course.diffusion.objective import Denoise


def guided(denoise: Denoise, scale: float, null: object, *, interval: tuple[float, float] = (0.0, 1.0)) -> Denoise:
    """Make a denoiser that heeds its condition more than it was trained to.

    Its answer is ``without + scale * (with - without)``: at 0 the condition is not heard, at 1 the network speaks for
    itself (and is asked once), above 1 it exaggerates. Since all answers are made of one another by a factor and a sum,
    it is the same whether clean clips are guided or noise.

    Args:
        denoise: trained with some conditions left out.
        scale: how far to go; also written w, where our scale is 1 + w.
        null: the condition that stands for none.
        interval: noise steps, above the first and up to the second, at which it is guided; elsewhere it is asked once.

    Paper:
        Ho and Salimans 2022, arXiv 2207.12598, eq. 6 (whose w is our scale - 1). The interval: Kynkaanniemi et al.
        2024, arXiv 2404.07724.
    """

    def guide(noisy: Tensor, noise_step: Tensor, condition: object) -> Tensor:
        told = denoise(noisy, noise_step, condition)
        if scale == 1 or not interval[0] < noise_step[0].item() <= interval[1]:
            return told
        untold = denoise(noisy, noise_step, null)
        return untold + scale * (told - untold)

    return guide
