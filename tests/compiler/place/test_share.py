"""Stages with a tied weight on one region: held once, checked anew, the same numbers as before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import weft
from helpers.tied_networks import TOKENS, WIDTH, WORDS, Tied, compiled, loss
from weft.compiler.place import share as share_pass
from weft.compiler.plan.check import check
from weft.compiler.plan.picture.floorplan import floorplan_svg
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.stage_record import memory_by_region
from weft.compiler.plan.text.show import show, show_stage
from weft.compiler.targets.load import load_target
from weft.sim import simulate


@pytest.fixture(scope="module")
def shared() -> Plan:
    return compiled()


@pytest.fixture(scope="module")
def apart() -> Plan:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share_pass, "can_share", lambda *_: False)
        return compiled()


@pytest.fixture(scope="module")
def untied() -> Plan:
    return compiled(is_tied=False)


def test_the_two_stages_have_one_region(shared: Plan) -> None:
    document = shared.document
    first, head = document.stages[0], document.stages[4]
    assert first.uses[0].region == head.uses[0].region
    assert len(document.regions) == len(document.stages) - 1
    assert document.totals.pes_used == sum(r.rectangle.area for r in document.regions)
    assert check(document, load_target("wse2"), shared.programs) == ()


def test_it_is_faster_than_streams_and_near_the_untied_network(
    shared: Plan, apart: Plan, untied: Plan
) -> None:
    intervals = [
        plan.document.totals.initiation_interval_cycles for plan in (shared, apart, untied)
    ]
    assert intervals[0] < intervals[1] / 2
    assert intervals[0] < 1.6 * intervals[2]


def test_closed_form_and_event_level_agree(shared: Plan) -> None:
    totals = shared.document.totals
    for level in ("analytic", "event"):
        report = simulate(shared.document, 400, level)
        assert report.initiation_interval_cycles == pytest.approx(
            totals.initiation_interval_cycles, rel=1e-3
        )
        assert report.forward_latency_cycles == totals.latency_cycles


def test_the_head_is_priced_as_if_it_owned_the_table(shared: Plan) -> None:
    """At the same tiling, but for the update, which the owner does."""
    record = shared.document.stages[4]
    own = compiled(is_tied=False, tilings={"head": record.tiling}).document.stages[4]
    assert own.tiling == record.tiling
    assert record.cycles == replace(own.cycles, update_cycles=0)
    assert record.macs_dense == own.macs_dense


def test_the_table_is_held_once(shared: Plan, untied: Plan) -> None:
    document = shared.document
    assert sum(s.nonzeros.dense for s in document.stages) == (
        sum(s.nonzeros.dense for s in untied.document.stages) - WORDS * WIDTH
    )
    head = document.stages[4].memory_per_pe
    assert head.weights_bytes == head.gradient_bytes == head.optimizer_bytes == 0
    held = memory_by_region(document.stages)
    assert max(held.values()) == document.totals.max_memory_per_pe_bytes
    tile = document.stages[0].memory_per_pe.weights_bytes
    versions = document.stages[0].memory_per_pe.skip_fifo_bytes
    assert versions >= 5 * tile  # of 4 ticks before and of the one that is made


def test_numbers_are_those_of_streams_and_of_torch(shared: Plan, apart: Plan) -> None:
    """Where a stage lies says nothing about what it computes; sequentially that is torch's SGD."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, WORDS, (6, TOKENS))
    data = weft.Dataset("tokens", tokens, tokens, tokens[:1], tokens[:1], "none")
    rate = [
        "optimizer.name=sgdm",
        "optimizer.lr=0.1",
        "optimizer.momentum=0",
        "optimizer.weight_decay=0",
    ]
    settings = [*rate, "pipeline.mode=sequential"]
    runs = [
        weft.train(plan, data, epochs=1, settings=settings, executor="reference").losses
        for plan in (shared, apart)
    ]
    assert np.array_equal(*runs)
    torch.manual_seed(0)
    torch.randint(0, WORDS, (1, TOKENS))
    model, losses = Tied(True), []
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for sample in torch.from_numpy(tokens[data.order(0, 0)]):
        sgd.zero_grad()
        losses.append(loss(model(sample[None]), sample[None]))
        losses[-1].backward()
        sgd.step()
    assert np.allclose(runs[0], torch.stack(losses).detach(), rtol=1e-5)


def test_it_is_named_and_drawn_once(shared: Plan) -> None:
    document = shared.document
    assert "with s04:head" in show_stage(document, "0")
    assert "with s00:table" in show_stage(document, "4")
    assert "s00:table and s04:head, in turns" in show(document)
    assert floorplan_svg(document).count('class="region"') == len(document.regions)


@pytest.mark.parametrize("number", [0, 4])
def test_the_checker_holds_the_region_to_what_it_must_keep(shared: Plan, number: int) -> None:
    document = shared.document
    stage = document.stages[number]
    rules = (("skip_fifo_bytes", "skip-fifos"), ("stream_buffer_bytes", "stream-buffers"))
    for name, rule in rules:
        memory = replace(stage.memory_per_pe, **{name: getattr(stage.memory_per_pe, name) + 4})
        stages = list(document.stages)
        stages[number] = replace(stage, memory_per_pe=memory)
        found = check(replace(document, stages=tuple(stages)), None, shared.programs)
        assert rule in {violation.rule for violation in found}


def test_masked_tables_keep_their_stream() -> None:
    mask = torch.rand(WORDS, WIDTH) < 0.25
    plan = compiled(masks={"table.weight": mask})
    assert len(plan.document.regions) == len(plan.document.stages)
