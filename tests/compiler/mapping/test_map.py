from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from helpers.small_mesh import mesh
from helpers.stages_of import mlp_stages, random_masks, resnet8_stages, stages_of
from torch import nn
from weft.backend.errors import InfeasibleError, UnknownNameError, UserError
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place.intervals import Intervals
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target

WSE2, TINY = load_target("wse2"), load_target("tiny_mesh")


def test_every_choice_fits_and_adds_up():
    stages = resnet8_stages()
    for stage, kernel in zip(stages.stages, map_kernels(stages, WSE2).stages, strict=True):
        for choice in kernel.choices:
            assert choice.memory.total_bytes <= WSE2.capacity_bytes
            assert choice.height <= WSE2.rows
            assert choice.width <= WSE2.columns
            phases = {"forward": 0, "backward": 0, "update": 0}
            for operator in choice.operators:
                phases[operator.phase] += operator.cycles
            assert choice.cycles.forward_cycles == phases["forward"]
            assert choice.cycles.backward_cycles == phases["backward"]
            assert choice.cycles.update_cycles == phases["update"]
            assert choice.nonzeros.dense == sum(s.elements for s in stage.program.parameters)


def test_memory_of_one_pe_by_hand():
    """The first layer of the MLP on one PE: (64 x 32 + 32) weights, delay 4, saved input 64."""
    stage = map_kernels(mlp_stages(), WSE2).stages[0]
    (choice,) = [c for c in stage.choices if c.area == 1]
    parameters = (64 * 32 + 32) * 4
    assert choice.memory.weights_bytes == parameters
    assert choice.memory.gradient_bytes == parameters
    assert choice.memory.optimizer_bytes == parameters
    assert choice.memory.activation_fifo_bytes == 4 * 64 * 4
    assert choice.nonzeros.per_pe_max == 64 * 32 + 32


def test_saved_activations_cover_the_fifo():
    """All PEs together hold at least delay samples of what the program saves, and one more where
    the forward of a tick comes first."""
    stages = resnet8_stages()
    for stage, kernel in zip(stages.stages, map_kernels(stages, WSE2).stages, strict=True):
        for choice in kernel.choices:
            samples = stages.delay(stage.index) + 1 - choice.backward_first
            needed = samples * stage.program.saved_bytes
            assert choice.memory.activation_fifo_bytes * choice.area >= needed


def test_optimizer_state_is_counted_per_tensor():
    for states in (0, 2):
        kernels = map_kernels(mlp_stages(), WSE2, Training(optimizer_states=states))
        memory = kernels.stages[0].choices[0].memory
        assert memory.optimizer_bytes == states * memory.gradient_bytes


def test_nested_masks_never_cost_more():
    stages = resnet8_stages()
    best = []
    for density in (1.0, 0.5, 0.25, 0.1):
        kernels = map_kernels(stages, WSE2, Training(random_masks(stages, density)))
        best.append([min(c.cycles.total_cycles for c in k.choices) for k in kernels.stages])
    for denser, sparser in pairwise(best):
        assert all(b <= a for a, b in zip(denser, sparser, strict=True))
    assert sum(best[2]) < sum(best[0])


def test_a_full_mask_equals_no_mask():
    stages = mlp_stages()
    assert map_kernels(stages, WSE2, Training(random_masks(stages, 1.1))) == map_kernels(
        stages, WSE2
    )


def test_nonzeros_come_from_the_mask():
    stages = mlp_stages()
    masks = random_masks(stages, 0.25)
    for kernel, stage in zip(
        map_kernels(stages, WSE2, Training(masks)).stages, stages.stages, strict=True
    ):
        kept = sum(int(masks[n].sum()) for n in stage.parameters if n in masks)
        dense = sum(s.elements for s in stage.program.parameters if len(s.shape) == 1)
        assert kernel.choices[0].nonzeros.total == kept + dense


def test_a_sparsity_without_a_mask_is_close_to_a_random_mask():
    stages = mlp_stages()
    name = stages.stages[0].parameters[0]
    expected, drawn = (
        map_kernels(stages, WSE2, Training({name: mask})).stages[0].choices[0].nonzeros.total
        for mask in (0.75, random_masks(stages, 0.25)[name])
    )
    assert expected == pytest.approx(drawn, rel=0.1)


def test_mask_mistakes():
    stages = mlp_stages()
    name = stages.stages[0].parameters[0]
    with pytest.raises(UnknownNameError, match="parameter of a mask"):
        map_kernels(stages, WSE2, Training({"nonsense": 0.5}))
    with pytest.raises(UserError, match="shape"):
        map_kernels(stages, WSE2, Training({name: torch.ones(3, 3)}))
    with pytest.raises(UserError, match="sparsity"):
        map_kernels(stages, WSE2, Training({name: 1.0}))


def big_layer():
    model = nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, 10))
    return stages_of(model, torch.zeros(1, 2048))


def test_what_does_not_fit_is_a_report_with_levers():
    with pytest.raises(InfeasibleError) as caught:
        map_kernels(big_layer(), TINY)
    report = caught.value.report
    assert "stage 0" in report
    assert "10,240" in report
    assert "weights" in report
    assert "target wse2" in report
    assert "90% sparse" in report


def test_the_levers_of_the_report_hold():
    """What the report predicts for a larger target and for sparsity comes true."""
    stages = big_layer()
    assert map_kernels(stages, WSE2).stages
    more = {"grid.rows": "64", "grid.columns": "64"}
    fabric = {"grid.fabric_rows": "64", "grid.fabric_columns": "64"}
    assert map_kernels(stages, load_target("tiny_mesh", more | fabric)).stages


def test_streams_are_carried_by_the_longer_side():
    """A residual sum reads two tensors: both have to enter, 4 bytes per link and cycle."""
    stages = resnet8_stages()
    index = next(s.index for s in stages.stages if len(s.inputs) == 2)
    arriving = sum(spec.size_bytes for spec in stages.stages[index].program.inputs)
    for choice in map_kernels(stages, WSE2).stages[index].choices:
        lanes = max(choice.height, choice.width)
        assert choice.stream_cycles == -(-arriving // (4 * lanes))
        assert choice.interval_cycles >= choice.stream_cycles


def test_choices_are_sorted_by_area_and_each_is_worth_it():
    for kernel in map_kernels(resnet8_stages(), WSE2).stages:
        areas = [choice.area for choice in kernel.choices]
        assert areas == sorted(areas)


@pytest.mark.parametrize("most", [6_000, 8_000])
def test_no_stage_takes_more_of_a_pe_than_it_may(most: int) -> None:
    """Finer tilings as well; the interval is no shorter than with all of the memory."""
    stages, machine = resnet8_stages(), mesh(32, 32)
    limited = map_kernels(stages, machine, Training(pe_memory=most))
    every = map_kernels(stages, machine)
    least = Intervals(limited).least
    assert least >= Intervals(every).least
    assert limited.finer is not None
    for kernels in (limited, limited.finer(limited, least)):
        assert max(int(kernel.sizes.memory_bytes.max()) for kernel in kernels.stages) <= most
    assert max(int(kernel.sizes.memory_bytes.max()) for kernel in every.stages) > most


def test_more_memory_than_a_pe_has_is_all_of_it() -> None:
    assert Training(pe_memory=10**9).bytes_of(WSE2) == WSE2.capacity_bytes
    assert Training(pe_memory=1_000).bytes_of(WSE2) == 1_000
    assert Training().bytes_of(WSE2) == WSE2.capacity_bytes
