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
