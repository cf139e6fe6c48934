"""A recurrent network over encoded frames."""

from dataclasses import dataclass

from torch import Tensor, nn

from course.clips import expect_tensor
from course.layers.recurrent import GRUCell, LSTMCell, Recurrent, RNNCell

CELLS: tuple[str, ...] = ("rnn", "gru", "lstm")


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """The form of a ``RecurrentModel``.

    Attributes:
        num_channels: C of the frames.
        size: side of the square frames, in pixels.
        cell: one of ``CELLS``.
        forget_bias: added to the bias of an LSTM's forget gates at the start.
        hidden_size: numbers in the state of each layer.
        num_layers: cells stacked, at least 1.
        output_size: numbers in the answer for each frame.
    """

    num_channels: int = 3
    size: int = 16
    cell: str = "lstm"
    forget_bias: float = 0.0
    hidden_size: int = 64
    num_layers: int = 1
    output_size: int

    def __post_init__(self) -> None:
        """Check the values."""
        if self.cell not in CELLS:
            raise ValueError(f"cell: wanted one of {CELLS}, got {self.cell!r}")
        if self.forget_bias and self.cell != "lstm":
            raise ValueError(f"forget_bias: only an LSTM has a forget gate, got a cell of {self.cell!r}")
        if self.num_layers < 1:
            raise ValueError(f"num_layers: wanted at least 1, got {self.num_layers}")


class RecurrentModel(nn.Module):
    """Encode each frame, walk through time with a memory, answer after each frame."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        size = config.hidden_size
        self.encode = nn.Linear(config.num_channels * config.size**2, size)
        self.walk = Recurrent(*(self._cell() for _ in range(config.num_layers)))
        self.answer = nn.Linear(size, config.output_size)

    def _cell(self) -> RNNCell:
        size = self.config.hidden_size
        if self.config.cell == "lstm":
            return LSTMCell(size, size, forget_bias=self.config.forget_bias)
        return {"rnn": RNNCell, "gru": GRUCell}[self.config.cell](size, size)

    def forward(self, clips: Tensor) -> Tensor:
        """Answer after each frame.

        Args:
            clips: (B, T, C, size, size).

        Returns:
            (B, T, output_size).
        """
        expect_tensor(clips, "B T C H W", name="clips")
        wanted = (self.config.num_channels, self.config.size, self.config.size)
        if clips.shape[2:] != wanted:
            raise ValueError(f"clips: wanted (B, T, {', '.join(map(str, wanted))}), got {tuple(clips.shape)}")
        x = self.encode(clips.flatten(2))  # (B, T, hidden_size)
        shown, _ = self.walk(x)  # (B, T, hidden_size)
        return self.answer(shown)
