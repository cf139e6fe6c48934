"""The parts of a cascade that hold no weights: what a stage is shown of the stage below, and how its clip is put in.

Every stage is a denoiser of its own, told by what it is *given*: the clip of the stage below, under a little noise.
"""

import torch
from torch import Tensor

from course.clips import expect, resize
from course.diffusion.schedule import Flow, diffuse, to_signed


def neighbours(clips: Tensor) -> Tensor:
    """Show for each gap between frames the one before and the one after; behind the last frame it stands twice.

    Args:
        clips: (B, T, C, H, W).

    Returns:
        (B, T, 2 * C, H, W): gap t lies between frames t and t + 1.
    """
    after = torch.cat([clips[:, 1:], clips[:, -1:]], dim=1)
    return torch.cat([clips, after], dim=2)


def interleaved(clips: Tensor, between: Tensor) -> Tensor:
    """Put a frame behind each frame; the frames that were there stay as they are.

    Args:
        clips: (B, T, C, H, W), frames 0, 2, 4, ... of the result.
        between: (B, T, C, H, W), frames 1, 3, 5, ...

    Returns:
        (B, 2 * T, C, H, W).
    """
    if clips.shape != between.shape:
        raise ValueError(f"between: wanted a frame for each of {tuple(clips.shape)}, got {tuple(between.shape)}")
    return torch.stack([clips, between], dim=2).flatten(1, 2)


def enlarged(clips: Tensor, size: int) -> Tensor:
    """Stretch clips to square frames of a side of ``size``, without a thought: what spatial super-resolution sees."""
    expect(clips, "B T C H W", name="clips")
    return resize(clips, size, size)


def augmented(clips: Tensor, level: Tensor, *, generator: torch.Generator) -> Tensor:
    """Put noise over what a stage is given: noise-conditioning augmentation.

    In training the stage below is the truth, in use it is another network's work, with faults that no training clip
    has. Under noise the two look alike; and since the level is told, the stage knows how far to trust what it sees.

    Args:
        clips: (B, T, C, H, W), values in [0, 1].
        level: (B,), noise steps of the flow, 0 for none.
        generator: the only source of chance.

    Returns:
        (B, T, C, H, W), values about -1 to 1.

    Paper:
        Ho et al. 2021 (Cascaded Diffusion Models), arXiv 2106.15282, section 3; Ho et al. 2022 (Imagen Video), arXiv
        2210.02303, section 2.5.
    """
    return diffuse(to_signed(clips), torch.randn(clips.shape, generator=generator), level, Flow())
