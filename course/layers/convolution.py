"""Convolution over time and space. These layers take (B, C, T, H, W), as PyTorch's do: a model permutes, they do not.

Kernel sizes, strides and paddings are one number, or three: time, height, width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Triple = int | tuple[int, int, int]


def conv3d(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: Triple = 1, padding: Triple = 0) -> Tensor:
    """Slide kernels over time, height and width; equal to ``torch.nn.functional.conv3d``.

    Time is unfolded: the frames that a kernel sees at once become channels of one picture. What is left is a
    convolution of pictures. Unfolding height and width as well would give one matrix product, several times slower,
    since each value would be copied for every place of the kernel.

    Args:
        x: (B, C, T, H, W).
        weight: (O, C, kernel_T, kernel_H, kernel_W), one kernel for each channel of the output.
        bias: (O,), or None for zeros.
        stride: steps from one place of the kernel to the next.
        padding: zeros put before and behind, along each axis.

    Returns:
        (B, O, T', H', W'), where T' = (T + 2 * padding - kernel_T) // stride + 1, and so on.

    Raises:
        ValueError: if the sizes do not fit.
    """
    stride, padding = _triple(stride, "stride", least=1), _triple(padding, "padding", least=0)
    if x.ndim != 5 or weight.ndim != 5 or x.shape[1] != weight.shape[1]:
        raise ValueError(
            f"wanted x (B, C, T, H, W) and weight (O, C, kernel_T, kernel_H, kernel_W), "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    room = [size + 2 * pad for size, pad in zip(x.shape[2:], padding, strict=True)]
    if any(kernel > size for kernel, size in zip(weight.shape[2:], room, strict=True)):
        raise ValueError(
            f"weight: the kernel {tuple(weight.shape[2:])} does not fit into {tuple(room)}, padding included"
        )

    if weight.shape[3:] == (1, 1) and stride[1:] == (1, 1) and padding[1:] == (0, 0):
        # Time alone: a picture whose rows are the frames and whose columns are the pixels; nothing is copied.
        result = F.conv2d(x.flatten(3), weight[..., 0], bias, (stride[0], 1), (padding[0], 0))
        return result.unflatten(3, x.shape[3:])

    x = F.pad(x, (0, 0, 0, 0, padding[0], padding[0]))
    windows = x.unfold(2, weight.shape[2], stride[0])  # (B, C, T', H, W, kernel_T)
    pictures = windows.permute(0, 2, 1, 5, 3, 4).flatten(2, 3)  # (B, T', C * kernel_T, H, W)
    result = F.conv2d(pictures.flatten(0, 1), weight.flatten(1, 2), bias, stride[1:], padding[1:])
    return result.unflatten(0, pictures.shape[:2]).transpose(1, 2)  # (B, O, T', H', W')


class Conv3d(nn.Module):
    """A layer of 3D convolution that keeps T, H and W (divided by the stride, rounded up).

    The weights have the names and shapes of ``nn.Conv3d``, so they can be copied from it. With ``causal=True`` all
    padding in time is put before the first frame, and no output depends on a later frame.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Triple,
        *,
        causal: bool = False,
        stride: Triple = 1,
    ) -> None:
        super().__init__()
        kernel = _triple(kernel_size, "kernel_size", least=1)
        if any(size % 2 == 0 for size in kernel[causal:]):
            raise ValueError(f"kernel_size: wanted odd numbers (in time any, if causal), got {kernel}")
        self.causal = causal
        self.stride = _triple(stride, "stride", least=1)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *kernel))
        self.bias = nn.Parameter(torch.empty(out_channels))
        bound = self.weight[0].numel() ** -0.5  # as PyTorch's
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, in_channels, T, H, W); returns (B, out_channels, T', H', W')."""
        if x.ndim != 5 or x.shape[1] != self.weight.shape[1]:
            raise ValueError(f"x: wanted (B, {self.weight.shape[1]}, T, H, W), got {tuple(x.shape)}")
        time, height, width = (size // 2 for size in self.weight.shape[2:])
        if self.causal:
            x, time = F.pad(x, (0, 0, 0, 0, self.weight.shape[2] - 1, 0)), 0  # zeros before the first frame
        return conv3d(x, self.weight, self.bias, stride=self.stride, padding=(time, height, width))


class Conv2Plus1d(nn.Module):
    """A 3D convolution taken apart: one over space, a ReLU, one over time (Tran et al. 2018, arXiv 1711.11248).

    The channels between the two are as many as give the number of weights of the whole 3D kernel. Differs from the
    paper: no batch normalisation between the two.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Triple,
        *,
        causal: bool = False,
        stride: Triple = 1,
    ) -> None:
        super().__init__()
        kernel, stride = _triple(kernel_size, "kernel_size", least=1), _triple(stride, "stride", least=1)
        mid_channels = channels_between(in_channels, out_channels, kernel)
        self.space = Conv3d(in_channels, mid_channels, (1, *kernel[1:]), stride=(1, *stride[1:]))
        self.time = Conv3d(mid_channels, out_channels, (kernel[0], 1, 1), causal=causal, stride=(stride[0], 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, in_channels, T, H, W); returns (B, out_channels, T', H', W')."""
        return self.time(self.space(x).relu())


def channels_between(in_channels: int, out_channels: int, kernel_size: Triple) -> int:
    """Count the channels that give a (2+1)D convolution the weights of a 3D one, or a few less; at least 1.

    Paper: Tran et al. 2018, arXiv 1711.11248. With n channels between, there are
    ``n * (in_channels * height * width + time * out_channels)`` weights.
    """
    time, height, width = _triple(kernel_size, "kernel_size", least=1)
    whole = in_channels * out_channels * time * height * width
    return max(1, whole // (in_channels * height * width + time * out_channels))


def receptive_field(
    kernel_sizes: Sequence[int], strides: Sequence[int] | None = None, dilations: Sequence[int] | None = None
) -> int:
    """Count the inputs that one output of a stack of convolutions can see, along one axis.

    Args:
        kernel_sizes: of each layer, the first first.
        strides: of each layer; None for ones.
        dilations: steps between the inputs that a kernel touches, of each layer; None for ones.

    Returns:
        Frames (or rows, or columns), at least 1.

    Raises:
        ValueError: if the numbers are not as many for each, or one is below 1.
    """
    ones = [1] * len(kernel_sizes)
    layers = [list(kernel_sizes), list(strides or ones), list(dilations or ones)]
    if len({len(numbers) for numbers in layers}) != 1 or any(number < 1 for numbers in layers for number in numbers):
        raise ValueError(
            f"wanted a kernel size, a stride and a dilation of at least 1 for each layer, "
            f"got {layers[0]}, {layers[1]} and {layers[2]}"
        )
    field, step = 1, 1  # step: inputs from one place of this layer's input to the next
    for kernel_size, stride, dilation in zip(*layers, strict=True):
        field += (kernel_size - 1) * dilation * step
        step *= stride
    return field


def _triple(value: Triple, name: str, *, least: int) -> tuple[int, int, int]:
    """Return three numbers for time, height and width."""
    triple = (value,) * 3 if isinstance(value, int) else tuple(value)
    if len(triple) != 3 or any(not isinstance(number, int) or number < least for number in triple):
        raise ValueError(f"{name}: wanted a whole number of at least {least}, or three (T, H, W), got {value!r}")
    return triple
