"""What a sample and a model may look like: keywords, dicts, several inputs and outputs, frozen
parameters, batch normalization."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.staged import forward_backward
from torch import nn
from weft.backend.errors import UnsupportedError, UserError
from weft.compiler.capture.capture import capture
from weft.compiler.kernels.layout import find_layout
from weft.compiler.mapping.map import map_kernels
from weft.compiler.stages.cut import cut
from weft.compiler.targets.load import load_target

GENERATOR = torch.Generator().manual_seed(0)


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


class Pair(nn.Module):
    """Two inputs, one of them in a dict with an integer one; a mapping as result."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.layer = nn.Linear(4, 3)
        self.register_buffer("scale", torch.tensor([2.0]), persistent=False)

    def forward(self, x, extra, flag=None, labels=None):
        hidden = self.layer(x + self.table(extra["token"])) * self.scale
        result = {"hidden": hidden, "logits": hidden.relu() + extra["bias"], "cache": object()}
        if labels is not None:
            result["loss"] = F.cross_entropy(result["logits"], labels)
        return result


def _pair_sample():
    extra = {"token": torch.tensor([3]), "bias": _random(1, 3)}
    return {"x": _random(1, 4), "extra": extra, "flag": None}


def _loss_of_logits(result, target):
    return F.cross_entropy(result["logits"], target)


def _check_against_eager(model, stages, inputs, loss):
    tensors = {**model.state_dict(), **dict(model.named_buffers())}
    tensors = {name: value.detach().clone() for name, value in tensors.items()}
    got, predictions, gradients, _ = forward_backward(stages, tensors, inputs)
    loss.backward()
    torch.testing.assert_close(got, loss.detach(), rtol=1e-12, atol=1e-12)
    trained = {n: p for n, p in model.named_parameters() if p.grad is not None}
    assert gradients.keys() == trained.keys()
    for name, parameter in trained.items():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-12)
    return predictions


def test_keywords_dicts_and_integers_with_a_loss_of_ours():
    model, sample = Pair().double(), _pair_sample()
    target = torch.tensor([1])
    stages = cut(capture(model, {**sample, "target": target}, _loss_of_logits))
    assert [spec.dtype for spec in stages.model_inputs].count("int64") == 2
    inputs = (sample["x"], sample["extra"]["token"], sample["extra"]["bias"], target)
    expected = model(**sample)
    predictions = _check_against_eager(model, stages, inputs, _loss_of_logits(expected, target))
    assert len(predictions) == 2, "tensors of the mapping, not its other objects"
    torch.testing.assert_close(predictions[0], expected["hidden"].detach())


def test_a_mapping_with_its_own_loss():
    model, sample, labels = Pair().double(), _pair_sample(), torch.tensor([2])
    stages = cut(capture(model, {**sample, "labels": labels}, None))
    inputs = (sample["x"], sample["extra"]["token"], sample["extra"]["bias"], labels)
    _check_against_eager(model, stages, inputs, model(**sample, labels=labels)["loss"])


def test_keywords_without_a_target_are_refused():
    with pytest.raises(UserError, match="'target'"):
        capture(Pair(), _pair_sample(), _loss_of_logits)


def test_batch_inside_a_dict_is_refused():
    sample = {**_pair_sample(), "target": torch.tensor([1])}
    sample["extra"] = {"token": torch.tensor([3, 1]), "bias": _random(2, 3)}
    with pytest.raises(UserError, match="example input extra"):
        capture(Pair().double(), sample, _loss_of_logits)


def test_batch_normalization_is_refused_with_the_remedy():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    with pytest.raises(UnsupportedError, match=r"module 1[\s\S]*replace_norms"):
        capture(model, (torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 6, 6)), F.mse_loss)


@pytest.fixture
def partly_frozen():
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
    model[0].weight.requires_grad_(False)
    model[2].requires_grad_(False)
    return model.double()


def test_frozen_parameters_have_no_gradient_but_pass_one_on(partly_frozen):
    x, y = _random(1, 6), torch.tensor([1])
    stages = cut(capture(partly_frozen, (x, y), F.cross_entropy))
    trainable = {
        name: trained
        for stage in stages.stages
        for name, trained in zip(stage.parameters, stage.program.trainable, strict=True)
    }
    assert trainable == {n: p.requires_grad for n, p in partly_frozen.named_parameters()}
    _check_against_eager(partly_frozen, stages, (x, y), F.cross_entropy(partly_frozen(x), y))


def test_frozen_parameters_cost_no_update(partly_frozen):
    sample = _random(1, 6).float(), torch.tensor([1])
    stages = cut(capture(partly_frozen.float(), sample, F.cross_entropy))
    kernels = map_kernels(stages, load_target("tiny_mesh"))
    frozen = stages.stages[1]
    assert set(frozen.parameters) == {"2.weight", "2.bias"}
    for choice in kernels.stages[1].choices:
        assert choice.cycles.update_cycles == 0
        assert choice.memory.gradient_bytes == choice.memory.optimizer_bytes == 0
        assert choice.memory.weights_bytes > 0
    assert find_layout(frozen.program).matrices, "a frozen weight is a weight"
