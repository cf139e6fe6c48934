"""A network without a memory of order: it sees the mean of all frames so far. The baseline of chapters 03 and 04."""

import torch
from torch import Tensor, nn

from course.clips import expect_tensor


class MeanFrameModel(nn.Module):
    """Answer after each frame from the mean of the frames up to it."""

    def __init__(self, *, num_channels: int, size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.frame = (num_channels, size, size)
        self.answer = nn.Sequential(
            nn.Linear(num_channels * size**2, hidden_size), nn.GELU(), nn.Linear(hidden_size, output_size)
        )

    def forward(self, clips: Tensor) -> Tensor:
        """clips: (B, T, C, size, size); returns (B, T, output_size)."""
        expect_tensor(clips, "B T C H W", name="clips")
        if clips.shape[2:] != self.frame:
            raise ValueError(f"clips: wanted (B, T, {', '.join(map(str, self.frame))}), got {tuple(clips.shape)}")
        count = torch.arange(1, clips.shape[1] + 1, device=clips.device)
        return self.answer(clips.flatten(2).cumsum(dim=1) / count[:, None])  # (B, T, output_size)
