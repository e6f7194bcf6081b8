"""Recompute: a backward that does the forward of its stage again from the stage's inputs."""

from __future__ import annotations

from collections import Counter

from helpers.cut_networks import cut_of, model_of
from weft.compiler.stages.recompute import recompute


def test_a_recomputing_stage_saves_inputs_and_state_only():
    plain = cut_of(model_of("resnet")[1])
    stages = recompute(plain)
    recomputing = [stage for stage in stages.stages if stage.program.recomputes]
    assert len(recomputing) >= 3
    for stage in recomputing:
        program, saving = stage.program, plain.stages[stage.index].program
        assert set(program.saved) <= {*program.inputs, *program.forward_state}
        assert program.saved_bytes < saving.saved_bytes
        again = Counter(saving.saved) - Counter(program.recomputed)
        assert not again - Counter(program.saved)
    assert not stages.stages[-1].program.recomputes
