"""Ways to tell a network something that holds for a whole clip: concatenate it, modulate with it, or look at it.

Features are (B, T, C, H, W), a context belongs to a clip: (B, D), or (B, M, D) where it is several vectors. So what is
told reaches every frame of its own clip and no frame of another, also where B and T are the same number.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course.clips import expect_tensor
from course.layers.attention import MultiHeadAttention


def over_frames(context: Tensor, x: Tensor) -> Tensor:
    """Spread one vector for each clip over its frames and places.

    Args:
        context: (B, D).
        x: (B, T, C, H, W), whose T, H and W are taken.

    Returns:
        (B, T, D, H, W), without a copy.

    Raises:
        ValueError: if the two are not of as many clips.
    """
    expect_tensor(x, "B T C H W", name="x")
    expect_tensor(context, "B D", name="context")
    if len(context) != len(x):
        raise ValueError(f"context: wanted one vector for each of {len(x)} clips, got {tuple(context.shape)}")
    T, _, H, W = x.shape[1:]
    return context[:, None, :, None, None].expand(-1, T, -1, H, W)


def concatenate(x: Tensor, context: Tensor) -> Tensor:
    """Add the numbers of a context as channels, the same at every place: (B, T, C + D, H, W)."""
    return torch.cat([x, over_frames(context, x)], dim=2)


def film(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Turn each channel up or down and move it: feature-wise linear modulation.

    Args:
        x: (B, T, C, H, W).
        scale: (B, C), what is added to a factor of 1: with 0 the channel stays as it is.
        shift: (B, C), added to the channel.

    Returns:
        (B, T, C, H, W).

    Raises:
        ValueError: if there is not one number for each clip and channel.

    Paper:
        Perez et al. 2018, arXiv 1709.07871, eq. 2, with gamma = 1 + scale and beta = shift.
    """
    for name, values in (("scale", scale), ("shift", shift)):
        if values.shape != (x.shape[0], x.shape[2]):
            raise ValueError(f"{name}: wanted (B, C) = {(x.shape[0], x.shape[2])}, got {tuple(values.shape)}")
    return x * (1 + over_frames(scale, x)) + over_frames(shift, x)


class AdaptiveGroupNorm(nn.Module):
    """Normalise groups of channels in each frame, then let the context set their scale and shift.

    The layer from the context starts at zero, so that an untrained one is a plain group norm, whatever the context.

    Args:
        num_groups: of channels; each is brought to mean 0 and deviation 1.
        num_channels: C.
        context_size: D.

    Paper:
        Dhariwal and Nichol 2021, arXiv 2105.05233, section 3 (AdaGN). The start at zero is that of Peebles and Xie
        2022, arXiv 2212.09748. Group norm: Wu and He 2018, arXiv 1803.08494.
    """

    def __init__(self, num_groups: int, num_channels: int, context_size: int) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.from_context = nn.Linear(context_size, 2 * num_channels)
        nn.init.zeros_(self.from_context.weight)
        nn.init.zeros_(self.from_context.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x: (B, T, C, H, W), context: (B, D); returns (B, T, C, H, W)."""
        scale, shift = self.from_context(context).chunk(2, dim=-1)  # (B, C) each
        normal = F.group_norm(x.flatten(0, 1), self.num_groups).view_as(x)
        return film(normal, scale, shift)


class ContextAttention(nn.Module):
    """Let every place of every frame look at the vectors of a context, and take from them what it wants.

    What is taken is to be added to the features. It starts at zero, as in ``AdaptiveGroupNorm``.

    Args:
        num_channels: C.
        context_size: D.
        num_heads: attentions side by side.

    Paper:
        Vaswani et al. 2017, arXiv 1706.03762, section 3.2.3 (queries of one sequence, keys and values of another);
        between pictures and a context: Rombach et al. 2022, arXiv 2112.10752, section 3.3.
    """

    def __init__(self, num_channels: int, context_size: int, num_heads: int) -> None:
        super().__init__()
        self.from_context = nn.Linear(context_size, num_channels)
        self.attention = MultiHeadAttention(num_channels, num_heads)
        nn.init.zeros_(self.attention.project_out.weight)
        nn.init.zeros_(self.attention.project_out.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x: (B, T, C, H, W), context: (B, M, D); returns (B, T, C, H, W)."""
        expect_tensor(x, "B T C H W", name="x")
        expect_tensor(context, "B M D", name="context")
        if len(context) != len(x):
            raise ValueError(f"context: wanted vectors for each of {len(x)} clips, got {tuple(context.shape)}")
        B, T, C, H, W = x.shape
        places = x.permute(0, 1, 3, 4, 2).reshape(B, T * H * W, C)
        taken = self.attention(places, self.from_context(context))  # (B, T * H * W, C)
        return taken.view(B, T, H, W, C).permute(0, 1, 4, 2, 3)  # (B, T, C, H, W)


class NullContext(nn.Module):
    """What stands in for a context that is left out: a vector of its own, learned like any weight.

    A network that is trained with some contexts left out (context dropout) works with one and without.

    Paper:
        Ho and Salimans 2022, arXiv 2207.12598, section 3.2 (a null token in place of the class, at random).
    """

    def __init__(self, context_size: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(0.02 * torch.randn(context_size))

    def forward(self, context: Tensor, given: Tensor) -> Tensor:
        """Replace the context of each clip that has none.

        Args:
            context: (B, M, D).
            given: (B,), False where the context is left out.

        Returns:
            (B, M, D).
        """
        expect_tensor(context, "B M D", name="context")
        if given.shape != context.shape[:1] or given.dtype != torch.bool:
            raise ValueError(f"given: wanted True or False for each of {len(context)} clips, got {given}")
        return torch.where(given[:, None, None], context, self.vector)
