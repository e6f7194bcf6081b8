"""Recurrent use of Online Normalization: one module per gate, shared by all time steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .online_norm import OnlineNorm

_GATES = ("input", "forget", "candidate", "output")


class OnlineLSTMCell(nn.Module):
    """An LSTM cell with Online Normalization of each gate and of the cell state it puts out.

    Each of the four gate pre-activations, and the cell state before its tanh, has its own
    `OnlineNorm` (Chiley et al. 2019, section on recurrent networks). All time steps share them: the
    forward statistics see a sequence step by step, the control state sees it in the order of the
    backward pass, last step first. `options` go to every `OnlineNorm`, whose bias is the gates'.
    The forget gate starts with bias 1.
    """

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.from_input = nn.Linear(input_size, 4 * hidden_size, bias=False)
        self.from_hidden = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        self.gate_norms = nn.ModuleDict({g: OnlineNorm(hidden_size, **options) for g in _GATES})
        self.cell_norm = OnlineNorm(hidden_size, **options)
        forget = self.gate_norms["forget"]
        if isinstance(forget.bias, nn.Parameter):
            nn.init.ones_(forget.bias)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step: x (N, input_size) and (hidden, cell), (N, hidden_size) each, to the next two.

        Without a state both are zero.
        """
        hidden, cell = state or (x.new_zeros(x.shape[0], self.hidden_size),) * 2
        gates = (self.from_input(x) + self.from_hidden(hidden)).chunk(4, dim=1)
        normal = [norm(gate) for norm, gate in zip(self.gate_norms.values(), gates, strict=True)]
        admit, forget, output = (torch.sigmoid(normal[i]) for i in (0, 1, 3))
        cell = forget * cell + admit * torch.tanh(normal[2])
        return output * torch.tanh(self.cell_norm(cell)), cell
