from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from helpers.stages_of import mlp_stages, resnet8_stages, stages_of
from torch import nn
from typer.testing import CliRunner
from weft.backend.errors import UnsupportedError
from weft.cli.app import app_of
from weft.compiler.mapping.coverage import coverage
from weft.compiler.mapping.map import map_kernels
from weft.compiler.targets.load import load_target


class Decomposing(nn.Module):
    """Two operators without a kernel, on two lines, around layers that have one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(9, 9)

    def forward(self, x):
        matrix = self.layer(x).reshape(3, 3)
        middle = torch.median(matrix, dim=1).values
        return torch.special.erfcx(middle).reshape(1, 3)


def test_all_operators_without_a_kernel_at_once():
    stages = stages_of(Decomposing(), torch.zeros(1, 9))
    found = coverage(stages)
    names = {operator.operator.split(".")[1] for operator in found.uncovered}
    assert names >= {"median", "special_erfcx"}
    assert found.operators > len(found.uncovered)
    assert found.share == 1.0, "what has no kernel has no MACs that torch counts"
    for operator in found.uncovered:
        assert operator.operator in found.text()
        assert all("test_coverage.py:" in place for place in operator.places)


def test_macs_are_those_that_mapping_counts():
    for stages in (mlp_stages(), resnet8_stages()):
        kernels = map_kernels(stages, load_target("wse2"))
        priced = sum(o.macs_dense for stage in kernels.stages for o in stage.choices[0].operators)
        assert coverage(stages).macs == priced
        assert coverage(stages).share == 1.0


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_check_only_of_a_known_model(flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app_of(), ["compile", "mlp", "--check-only", *flags])
    assert result.exit_code == 0, result.output
    assert not list(tmp_path.iterdir()), "no plan is written"
    if flags:
        assert json.loads(result.output)["share"] == 1.0
    else:
        assert "100.0%" in result.output


class Standardized(nn.Module):
    """A convolution whose weight is computed: it lies where its values are made, and is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3))

    def forward(self, x):
        weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) / 2
        return F.conv2d(x, weight).mean((2, 3))


def test_a_convolution_with_a_computed_weight_is_priced():
    stages = stages_of(Standardized(), torch.zeros(1, 3, 10, 10))
    kernels = map_kernels(stages, load_target("wse2"))
    operators = kernels.stages[0].choices[0].operators
    macs = {o.operator: o.macs_dense for o in operators if o.family == "convolution"}
    assert macs["aten.convolution.default"] == 8 * 3 * 9 * 64


class Spectral(nn.Module):
    """As FNet takes its tokens to complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(9, 9)

    def forward(self, x):
        return self.layer(x).to(torch.complex64).real


def test_a_dtype_without_arithmetic_is_refused_with_its_place():
    stages = stages_of(Spectral(), torch.zeros(1, 9))
    expected = r"test_coverage\.py:\d+[\s\S]*complex64 in operator"
    with pytest.raises(UnsupportedError, match=expected):
        map_kernels(stages, load_target("wse2"))


class OwnDevice(nn.Module):
    """As XLNet makes its positions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(9, 9)

    def forward(self, x):
        return self.layer(x) @ torch.ones(9, 9, device="cpu")


class Imaginary(nn.Module):
    """Multiplies with a complex number."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(9, 9)

    def forward(self, x):
        return (self.layer(x) * 1j).abs()


def test_a_complex_constant_is_refused():
    with pytest.raises(UnsupportedError, match=r"1j, of type complex"):
        stages_of(Imaginary(), torch.zeros(1, 9))


def test_a_tensor_of_the_cpu_in_a_model_without_weights_is_the_same_program():
    with torch.device("meta"):
        model, sample = OwnDevice(), torch.zeros(1, 9)
    found, expected = stages_of(model, sample), stages_of(OwnDevice(), torch.zeros(1, 9))
    keys = [[stage.program.key for stage in stages.stages] for stages in (found, expected)]
    assert keys[0] == keys[1]
