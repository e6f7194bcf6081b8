"""Stages are meant by the paths of their modules, however many stages one module makes."""

from __future__ import annotations

import pytest
from weft.compiler.plan.program import Origin, Stage, StageProgram


def stage(name: str, module: str) -> Stage:
    program = StageProgram.__new__(StageProgram)  # names do not look at it
    return Stage(0, name, Origin(module, "model.py", 1), program, (), (), (), ())


@pytest.mark.parametrize(
    ("name", "module", "glob"),
    [
        ("mlp", "mlp", "mlp"),
        ("mlp_1", "mlp", "mlp"),
        ("mlp_1", "mlp", "mlp_1"),
        ("attn.matmul_1", "attn", "attn.matmul"),
        ("block_1", "block.up", "block"),
        ("add_2", "", "add"),
        ("s02:mlp_1", "mlp", "mlp"),
        ("s02:mlp_1", "mlp", "s02:mlp_1"),
        ("h.3.mlp_1", "h.3.mlp", "h.*.mlp"),
    ],
)
def test_what_a_glob_means(name: str, module: str, glob: str) -> None:
    assert stage(name, module).is_made_for(glob)


@pytest.mark.parametrize(
    ("name", "module", "glob"),
    [
        ("mlp_1", "mlp_1", "mlp"),  # a module of that name
        ("layer_1", "layer_1.up", "layer"),
        ("attn.matmul", "attn", "attn"),
        ("s02:mlp_1", "mlp", "s01:mlp"),
        ("mlp", "mlp", "mlp_1"),
    ],
)
def test_what_it_does_not_mean(name: str, module: str, glob: str) -> None:
    assert not stage(name, module).is_made_for(glob)
