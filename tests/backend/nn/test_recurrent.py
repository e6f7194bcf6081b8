"""Online Normalization in an LSTM: modules and state shared by all time steps."""

from __future__ import annotations

import pytest
import torch
from helpers.online_norm_loop import LoopState
from torch import Tensor, nn
from weft.backend.nn import OnlineLSTMCell

STEPS, BATCH, INPUTS, HIDDEN = 6, 2, 3, 4
ALPHAS = {"alpha_fwd": 0.9, "alpha_bkw": 0.8}


def loop_norms() -> list[LoopState]:
    return [LoopState(HIDDEN, *ALPHAS.values()) for _ in range(5)]


def loop_lstm(
    inputs: Tensor, from_input: Tensor, from_hidden: Tensor, norms: list[LoopState]
) -> Tensor:
    """The hidden states of all steps, from the equations of the LSTM; the forget bias is 1."""
    hidden = cell = torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    outputs = []
    for x in inputs:
        gates = x @ from_input.T + from_hidden.mm(hidden.T).T
        i, f, g, o = (norms[k](gates[:, k * HIDDEN : (k + 1) * HIDDEN]) for k in range(4))
        cell = torch.sigmoid(f + 1) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(norms[4](cell))
        outputs.append(hidden)
    return torch.stack(outputs)


def run(cell: nn.Module, inputs: Tensor) -> Tensor:
    state, outputs = None, []
    for x in inputs:
        state = cell(x, state)
        outputs.append(state[0])
    return torch.stack(outputs)


def test_lstm_equals_the_loop_outputs_gradients_and_states() -> None:
    torch.manual_seed(0)
    cell = OnlineLSTMCell(INPUTS, HIDDEN, **ALPHAS, ecm=None).double()
    weights = [
        layer.weight.detach().clone().requires_grad_()
        for layer in (cell.from_input, cell.from_hidden)
    ]
    norms = loop_norms()
    for _ in range(10):
        inputs = torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
        ours, theirs = run(cell, inputs), loop_lstm(inputs, *weights, norms)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        grad = torch.randn_like(ours)
        ours.backward(grad)
        theirs.backward(grad)
        for layer, weight in zip((cell.from_input, cell.from_hidden), weights, strict=True):
            torch.testing.assert_close(layer.weight.grad, weight.grad, rtol=1e-11, atol=1e-11)
        for norm, loop in zip([*cell.gate_norms.values(), cell.cell_norm], norms, strict=True):
            for name in ("mean", "var", "u", "v"):
                torch.testing.assert_close(
                    getattr(norm, name), getattr(loop, name), rtol=1e-11, atol=1e-11
                )


def test_a_sequence_advances_the_forward_state_once_per_step() -> None:
    torch.manual_seed(0)
    cell = OnlineLSTMCell(1, 1, **ALPHAS)
    nn.init.zeros_(cell.from_hidden.weight)
    inputs = torch.randn(STEPS, 1, 1)
    run(cell, inputs)
    gate = inputs[:, 0, 0] * cell.from_input.weight[0].detach()
    decay = ALPHAS["alpha_fwd"] ** torch.arange(STEPS - 1, -1, -1)
    torch.testing.assert_close(cell.gate_norms["input"].mean, (0.1 * decay * gate).sum()[None])


def test_evaluation_leaves_all_state_alone() -> None:
    torch.manual_seed(0)
    cell = OnlineLSTMCell(INPUTS, HIDDEN, **ALPHAS).eval()
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    run(cell, torch.randn(STEPS, BATCH, INPUTS)).sum().backward()
    assert all(torch.equal(before[name], value) for name, value in cell.state_dict().items())


def test_half_precision_keeps_float32_state() -> None:
    torch.manual_seed(0)
    wide = OnlineLSTMCell(INPUTS, HIDDEN, **ALPHAS)
    narrow = OnlineLSTMCell(INPUTS, HIDDEN, **ALPHAS)
    narrow.load_state_dict(wide.state_dict())
    narrow.to(torch.bfloat16)
    inputs = torch.randn(STEPS, BATCH, INPUTS)
    outputs = run(wide, inputs), run(narrow, inputs.bfloat16())
    assert outputs[1].dtype == torch.bfloat16
    torch.testing.assert_close(outputs[1].float(), outputs[0], rtol=0.05, atol=0.05)
    for output in outputs:
        output.float().pow(3).sum().backward()
    for name, value in narrow.named_buffers():
        assert value.dtype == torch.float32, name
        torch.testing.assert_close(value, wide.get_buffer(name), rtol=0.2, atol=0.02)


def test_learns_to_remember_the_first_input() -> None:
    torch.manual_seed(0)
    cell, head = OnlineLSTMCell(1, 8, alpha_fwd=0.99, alpha_bkw=0.9), nn.Linear(8, 1)
    optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.05, momentum=0.9)
    losses = []
    for _ in range(150):
        inputs = torch.randn(5, 4, 1).sign()
        loss = (head(run(cell, inputs)[-1]) - inputs[0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.3 * sum(losses[:10])


@pytest.mark.parametrize("affine", [True, False])
def test_affine_is_that_of_the_normalizations(affine: bool) -> None:
    cell = OnlineLSTMCell(INPUTS, HIDDEN, affine=affine)
    names = {name.rsplit(".", 1)[1] for name, _ in cell.named_parameters() if "norm" in name}
    assert names == ({"weight", "bias"} if affine else set())
