from __future__ import annotations

import pytest
import torch.nn.functional as F
from helpers.tied_stages import TARGET, TOKENS, Tied, tied_model, tied_stages
from weft.compiler.capture.capture import capture
from weft.compiler.emit.emit import Labels, emit
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place.place import place
from weft.compiler.plan.check import check
from weft.compiler.plan.training import Training
from weft.compiler.stages.cut import cut
from weft.compiler.targets.load import load_target


@pytest.fixture(scope="module")
def model():
    return tied_model()


@pytest.fixture(scope="module")
def stages(model):
    return tied_stages(model)


def test_every_tensor_has_one_owner_and_the_first_name(stages):
    owned = [name for stage in stages.stages for name in stage.tensors]
    assert sorted(owned) == ["frequencies", "layer.bias", "layer.weight", "table.weight"]


def test_the_plan_is_sound():
    target = load_target("wse2")
    stages = cut(capture(Tied(), (TOKENS, TARGET), F.cross_entropy))
    placement = place(stages, map_kernels(stages, target))
    plan = emit(stages, placement, {}, Training(), Labels("tied"))
    assert check(plan.document, target, plan.programs) == ()
