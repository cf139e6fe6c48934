"""Frames that are known already, and what a denoiser is to do with them.

There are two ways from a picture to a clip. The known frames are *told*, beside the noisy clip, to a network that was
trained to be told: ``known_frames``. Or a network that was never trained for it is *held* to them: ``clamped``.
"""

import torch
from torch import Tensor

from course.clips import expect
from course.diffusion.objective import Denoise
from course.diffusion.schedule import to_signed


def known_frames(clips: Tensor, known: Tensor) -> Tensor:
    """Return what a network sees of the frames that are known, for ``Condition.given``.

    Args:
        clips: (B, T, C, H, W), float32 in [0, 1]; frames that are not known may hold anything.
        known: (B, T), True where a frame is known.

    Returns:
        (B, T, C + 1, H, W): the frames in [-1, 1], 0 where they are not known, and a channel that is 1 where they are.

    Raises:
        ValueError: for clips of another form, or if ``known`` is not True or False for each of their frames.
    """
    known = _of_frames(clips, known)  # (B, T, 1, 1, 1)
    frames = torch.where(known, to_signed(clips), 0.0)
    return torch.cat([frames, known.to(clips).expand_as(clips[:, :, :1])], dim=2)


def clamped(denoise: Denoise, clips: Tensor, known: Tensor) -> Denoise:
    """Make a denoiser that answers with the known frames where they are known: image to video without training.

    What is found of the other frames is left as it is, so any denoiser of clips will do, and any sampler: the frames
    that it holds come out as they went in. While there is noise, they stand under noise as all others do, and only what
    the network understands of them there can guide the rest.

    Args:
        denoise: gives clean clips, values in [-1, 1].
        clips: (B, T, C, H, W), float32 in [0, 1]; frames that are not known may hold anything.
        known: (B, T), True where a frame is known.

    Raises:
        ValueError: as ``known_frames`` does; the denoiser that is returned, if it is asked for other clips.

    Paper:
        Ho et al. 2022 (Video Diffusion Models), arXiv 2204.03458, "the replacement method": there the
        noisy frames are replaced, here the answer, which comes to the same, as the sampler puts the noise over it.
    """
    where, frames = _of_frames(clips, known), to_signed(clips)

    def held(noisy: Tensor, noise_step: Tensor, condition: object) -> Tensor:
        if noisy.shape != frames.shape:
            raise ValueError(f"noisy: wanted {tuple(frames.shape)}, as the known clips are, got {tuple(noisy.shape)}")
        return torch.where(where, frames, denoise(noisy, noise_step, condition))

    return held


def _of_frames(clips: Tensor, known: Tensor) -> Tensor:
    """Check clips and which of their frames are known; return the latter as (B, T, 1, 1, 1)."""
    expect(clips, "B T C H W", name="clips")
    if not isinstance(known, Tensor) or known.dtype != torch.bool or known.shape != clips.shape[:2]:
        came = f"{known.dtype} {tuple(known.shape)}" if isinstance(known, Tensor) else type(known).__name__
        raise ValueError(f"known: wanted True or False for each frame, {tuple(clips.shape[:2])}, got {came}")
    return known[..., None, None, None]
