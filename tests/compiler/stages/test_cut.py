from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.cut_resnet import IMAGE, LABEL
from helpers.small_models import Attention, Branches
from helpers.staged import forward_backward
from torch import nn
from weft.backend.nn.mlp import mlp
from weft.backend.nn.resnet import resnet
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import HOST
from weft.compiler.stages.cut import cut


@pytest.mark.parametrize(("depth", "stages"), [(8, 16), (20, 34), (32, 52)])
def test_preactivation_resnet_has_9n_plus_7_stages(depth, stages):
    """Published stage counts (Kosson et al. 2021, section on networks): 34 and 52."""
    found = cut(capture(resnet(depth, in_channels=1), (IMAGE, LABEL), F.cross_entropy))
    assert len(found) == stages
    assert found.delay(0) == 2 * (stages - 1)
    assert found.delay(stages - 1) == 0
    assert found.loss.stage == stages - 1


@pytest.fixture(scope="module")
def resnet20():
    return cut(capture(resnet(20, in_channels=1), (IMAGE, LABEL), F.cross_entropy))


def sample(model: nn.Module):
    generator = torch.Generator().manual_seed(1)
    if isinstance(model, Attention):
        tokens = torch.randint(0, 11, (1, 6), generator=generator)
        return tokens, torch.randint(0, 11, (1, 6), generator=generator)
    channels = 2 if isinstance(model, Branches) else 1
    return torch.randn(1, channels, 8, 8, generator=generator, dtype=torch.float64), LABEL


@pytest.mark.parametrize(
    "build",
    [
        Branches,
        Attention,
        lambda: mlp(in_channels=1),
        lambda: resnet(8, in_channels=1),
        lambda: resnet(8, in_channels=1, normalization="group"),
        lambda: resnet(8, in_channels=1, normalization="layer"),
    ],
    ids=["branches", "attention", "mlp", "resnet-online", "resnet-group", "resnet-layer"],
)
def test_stages_without_delay_equal_eager_autograd(build):
    """float64, so the tolerance of 1e-12 is a few thousand roundings at most."""
    torch.manual_seed(0)
    model = build().double()
    *inputs, target = sample(model)
    stages = cut(capture(model, (*inputs, target), F.cross_entropy))
    tensors = {k: v.detach().clone() for k, v in model.state_dict().items()}
    loss, predictions, gradients, state = forward_backward(stages, tensors, (*inputs, target))

    expected = model(*inputs)
    expected_loss = F.cross_entropy(expected, target)
    expected_loss.backward()
    torch.testing.assert_close(predictions[0], expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(loss, expected_loss.detach(), rtol=1e-12, atol=1e-12)
    assert set(gradients) == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-12)
    for name, value in state.items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-12, atol=1e-12)


def test_wiring_is_a_dag_in_pipeline_order(resnet20):
    for stage in resnet20.stages:
        for source in stage.inputs:
            assert source.stage == HOST or source.stage < stage.index
            if source.stage != HOST:
                producer = resnet20.stages[source.stage].program
                assert (
                    producer.outputs[source.output]
                    == stage.program.inputs[stage.inputs.index(source)]
                )
    skips = [e for e in resnet20.dag.edges if e[0] != HOST and e[1] - e[0] > 1]
    assert len(skips) >= 9, "every residual block has an edge over its two convolutions"


class Applied(nn.Module):
    """One layer twice, a module with the name the second would have, and a head with fewer weights
    than the table of positions before it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.a_1 = nn.Linear(4, 4), nn.Linear(4, 4)
        self.positions = nn.Parameter(torch.ones(1, 20, 4))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        h = self.a_1(torch.relu(self.a(torch.relu(self.a(x)))))
        return self.head(torch.tanh(h) + self.positions).mean(1)


def test_every_stage_has_a_name_of_its_own_that_of_its_largest_layer():
    """The friction: 'bound by ln_f' where the product of the head was, and two stages of one name.
    Weight rows are keyed by names, so two of one name were one."""
    sample = torch.zeros(1, 20, 4), torch.zeros(1, dtype=torch.int64)
    found = cut(capture(Applied(), sample, F.cross_entropy)).stages
    assert [stage.name for stage in found] == ["a", "a_1", "a_1_1", "head", "loss"]
    assert [stage.origin.module for stage in found[:4]] == ["a", "a", "a_1", "head"]


def test_the_two_products_of_attention_and_the_two_sums_of_a_block_are_told_apart():
    tokens = torch.zeros(1, 6, dtype=torch.int64)
    found = cut(capture(Attention(), (tokens, tokens), F.cross_entropy)).stages
    names = [stage.name for stage in found]
    assert len(set(names)) == len(names)
    assert {"matmul", "matmul_1", "add", "add_1", "head"} <= set(names)
