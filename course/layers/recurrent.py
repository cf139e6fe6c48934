"""Recurrent cells, and layers that walk them through time. Gates are stacked as PyTorch does, so weights can be copied.

A cell takes one step; ``Recurrent`` stacks cells and walks. What a cell needs from its input does not depend on the
state, so a layer computes it for all frames in one matrix product, before the walk.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


class RNNCell(nn.Module):
    """One step of a plain recurrent network (Elman 1990): ``hidden = tanh(W x + U hidden)``."""

    num_gates: ClassVar[int] = 1
    num_states: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, self.num_gates * hidden_size)
        self.from_hidden = nn.Linear(hidden_size, self.num_gates * hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(self, x: Tensor, state: State) -> State:
        """x: (B, input_size); state and result: a tuple of tensors (B, hidden_size), the hidden one first."""
        return self.step(self.from_input(x), state)

    def step(self, gates: Tensor, state: State) -> State:
        """Take a step; ``gates`` is ``from_input(x)``, (B, num_gates * hidden_size)."""
        (hidden,) = state
        return ((gates + self.from_hidden(hidden)).tanh(),)


class GRUCell(RNNCell):
    """One step of a gated recurrent unit (Cho et al. 2014, arXiv 1406.1078); the reset gate is PyTorch's."""

    num_gates = 3

    def step(self, gates: Tensor, state: State) -> State:
        """Take a step; ``gates`` is ``from_input(x)``, (B, 3 * hidden_size)."""
        (hidden,) = state
        reset, keep, candidate = gates.chunk(3, dim=-1)
        reset_h, keep_h, candidate_h = self.from_hidden(hidden).chunk(3, dim=-1)
        candidate = (candidate + (reset + reset_h).sigmoid() * candidate_h).tanh()
        keep = (keep + keep_h).sigmoid()
        return (keep * hidden + (1 - keep) * candidate,)


class LSTMCell(RNNCell):
    """One step of a long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    The state is the pair (hidden, memory); only ``hidden`` is shown to the next layer.
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 0.0) -> None:
        super().__init__(input_size, hidden_size)
        with (
            torch.no_grad()
        ):  # a forget gate that starts open remembers before it has learned to (Jozefowicz et al. 2015)
            self.from_input.bias[hidden_size : 2 * hidden_size] += forget_bias

    def step(self, gates: Tensor, state: State) -> State:
        """Take a step; ``gates`` is ``from_input(x)``, (B, 4 * hidden_size)."""
        hidden, memory = state
        write, keep, candidate, show = (gates + self.from_hidden(hidden)).chunk(4, dim=-1)
        memory = keep.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        return show.sigmoid() * memory.tanh(), memory


class Recurrent(nn.Module):
    """Cells stacked in layers and walked through time: layer k + 1 reads what layer k shows."""

    def __init__(self, *cells: RNNCell) -> None:
        super().__init__()
        if not cells:
            raise ValueError("cells: wanted at least one, got none")
        for below, above in pairwise(cells):
            if above.from_input.in_features != below.hidden_size:
                raise ValueError(
                    f"cells: a layer reads what the one below shows, {below.hidden_size} numbers, "
                    f"got an input_size of {above.from_input.in_features}"
                )
        self.cells = nn.ModuleList(cells)

    def forward(self, x: Tensor, states: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """Walk through time.

        Args:
            x: (B, T, input_size).
            states: one for each layer, as returned by an earlier call, or None to begin with zeros.

        Returns:
            What the last layer shows, (B, T, hidden_size), and the state of each layer after the last frame.
        """
        wanted = self.cells[0].from_input.in_features
        if x.ndim != 3 or x.shape[-1] != wanted:
            raise ValueError(f"x: wanted (B, T, {wanted}), got {tuple(x.shape)}")
        if states is not None and len(states) != len(self.cells):
            raise ValueError(f"states: wanted one for each of {len(self.cells)} layers, got {len(states)}")
        after = []
        for index, cell in enumerate(self.cells):
            zero = x.new_zeros(len(x), cell.hidden_size)
            state = (zero,) * cell.num_states if states is None else states[index]
            shown = []
            for gates in cell.from_input(x).unbind(dim=1):  # (B, num_gates * hidden_size) each
                state = cell.step(gates, state)
                shown.append(state[0])
            x = torch.stack(shown, dim=1)  # (B, T, hidden_size)
            after.append(state)
        return x, after


class ConvLSTMCell(nn.Module):
    """One step of an LSTM whose hidden state and memory are pictures (Shi et al. 2015, arXiv 1506.04214, eq. 3).

    The matrices are convolutions, so that what is learned holds everywhere in the frame. Differs from the paper: no
    peephole connections, as in most later use.
    """

    def __init__(self, input_channels: int, hidden_channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: wanted an odd number, so that pictures keep their size, got {kernel_size}")
        self.hidden_channels = hidden_channels
        self.input_channels = input_channels
        self.gates = nn.Conv2d(
            input_channels + hidden_channels, 4 * hidden_channels, kernel_size, padding=kernel_size // 2
        )

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """x: (B, input_channels, H, W); state and result: (hidden, memory), each (B, hidden_channels, H, W)."""
        if x.ndim != 4 or x.shape[1] != self.input_channels:
            raise ValueError(f"x: wanted (B, {self.input_channels}, H, W), got {tuple(x.shape)}")
        zero = x.new_zeros(len(x), self.hidden_channels, *x.shape[2:])
        hidden, memory = state if state is not None else (zero, zero)
        gates = self.gates(torch.cat([x, hidden], dim=1))  # (B, 4 * hidden_channels, H, W)
        write, keep, candidate, show = gates.chunk(4, dim=1)
        memory = keep.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        return show.sigmoid() * memory.tanh(), memory
