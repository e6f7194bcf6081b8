"""Break a valid plan in one place; the checker must name the rule that was broken."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from weft.compiler.plan.check import RULES, check
from weft.compiler.plan.codec import from_data, to_data
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.plan import Plan
from weft.compiler.targets.target import Target

DEMANDS = [
    {"amount": amount, "bound": 5, "unit": "PEs", "excess": amount - 5} for amount in (9, 7, 5)
]
LEVER = {"lever": "recompute", "change": "", "before": DEMANDS[0], "after": DEMANDS[1]}
FITTING = {"lever": "recompute", "change": "", "before": DEMANDS[1], "after": DEMANDS[2]}
CORNER = {"row": 0, "column": 0, "height": 9, "width": 9, "wafer": 0}
SUM = {"rounds": 1, "words": 2, "along": 4, "across": 2, "spacing": 1, "is_behind": False}
Change = Callable[[Any, random.Random], Any]

DROP = object()
TWICE = object()


def plus(amount: float) -> Change:
    return lambda value, _: value + amount


def times(factor: float) -> Change:
    return lambda value, _: type(value)(value * factor)


def put(new: Any) -> Change:
    return lambda value, _: new


def nudge(value: int, rng: random.Random) -> int:
    return value + rng.choice((-2, -1, 1, 2))


# rule, path (* is any item, an empty last step is the item itself), change
MUTATIONS: tuple[tuple[str, str, Change], ...] = (
    ("format", "format", plus(1)),
    ("format", "mode", put("backwards")),
    ("format", "witness", put("float8")),
    ("format", "clock_hz", put(0.0)),
    ("stage-names", "stages.0.id", put("layer.conv")),
    ("stage-names", "stages.*.index", plus(1)),
    ("stage-names", "stages.*.id", put("")),
    ("parameters-bound-once", "parameters.*", put(DROP)),
    ("parameters-bound-once", "parameters.*", put(TWICE)),
    ("parameters-bound-once", "parameters.*.name", put("other.weight")),
    ("parameters-bound-once", "stages.0.parameters.0", put("conv.weight")),
    ("parameters-bound-once", "stages.1.parameters.*", put(DROP)),
    ("parameters-bound-once", "stages.3.parameters.0", put(TWICE)),
    ("state-bound-once", "state.*", put(DROP)),
    ("state-bound-once", "state.*.name", put("norm.v")),
    ("state-bound-once", "stages.1.forward_state.0", put("norm.u")),
    ("state-bound-once", "stages.1.backward_state.0", put(DROP)),
    ("masks-known", "masks.0", put("nobody.weight")),
    ("masks-known", "masks.0", put(TWICE)),
    ("masks-known", "shares_of_zeros", put({"nobody.weight": 0.5})),
    ("masks-known", "shares_of_zeros", put({"conv.weight": 0.5})),
    ("masks-known", "shares_of_zeros", put({"head.weight": 1.5})),
    ("masks-known", "dynamic.0", put("nobody.weight")),
    ("masks-known", "dynamic.0", put(TWICE)),
    ("parameter-bytes", "optimizer_states", plus(1)),
    ("loss-in-last-stage", "loss.stage", nudge),
    ("loss-in-last-stage", "loss.output", put(-1)),
    ("loss-in-last-stage", "predictions.0.stage", put(9)),
    ("programs-listed", "stages.*.program", put("lost")),
    ("programs-listed", "files.stages/conv.json", put(DROP)),
    ("tensor-records", "parameters.*.dtype", put("float33")),
    ("tensor-records", "inputs.0.shape.*", put(-3)),
    ("host-inputs", "inputs.*", put(DROP)),
    ("host-inputs", "inputs.*", put(TWICE)),
    ("region-uses", "stages.*.uses.0.purpose", put("sideways")),
    ("region-uses", "stages.*.uses.0.cycles", nudge),
    ("region-uses", "stages.1.uses.0.region.id", put("r0")),
    ("region-uses", "stages.*.uses.0", put(TWICE)),
    ("region-inside-grid", "stages.*.uses.0.region.rectangle.row", put(14)),
    ("region-inside-grid", "stages.*.uses.0.region.rectangle.column", put(-1)),
    ("region-inside-grid", "stages.*.uses.0.region.rectangle.height", put(0)),
    ("region-inside-grid", "grid.*", put(7)),
    ("regions-disjoint", "stages.2.uses.0.region.rectangle.row", put(3)),
    ("regions-disjoint", "stages.1.uses.0.region.rectangle.column", plus(-1)),
    ("regions-disjoint", "stages.3.uses.0.region.rectangle.row", plus(-1)),
    ("regions-disjoint", "stages.0.uses.0.region.rectangle.height", plus(1)),
    ("tiling-fills-region", "stages.*.uses.0.region.tiling.in_split", plus(1)),
    ("tiling-fills-region", "stages.*.uses.0.region.tiling.out_split", plus(-1)),
    ("tiling-fills-region", "stages.*.uses.0.region.tiling.space_split", put(0)),
    ("tiling-fills-region", "stages.2.uses.0.region.tiling.interleaved", put(True)),
    ("tiling-fills-region", "stages.*.uses.0.region.tiling.algorithm", put("magic")),
    ("tiling-fills-region", "stages.*.uses.0.region.tiling.algorithm", put("ring")),
    ("tiling-fills-region", "stages.1.uses.0.region.tiling.algorithm", put("all-reduce")),
    ("tiling-fills-region", "stages.*.uses.0.region.tiling.groups", put(99)),
    ("operator-steps", "stages.*.operators.*.steps", put([SUM | {"along": 99}])),
    ("operator-steps", "stages.*.operators.*.steps", put([SUM | {"spacing": 9}])),
    ("operator-steps", "stages.*.operators.*.steps", put([SUM | {"rounds": 0}])),
    ("delay", "stages.*.delay", nudge),
    ("fifo-depth", "stages.*.fifo_depth", nudge),
    ("off-wafer", "stages.*.off_wafer_bytes", put(-4)),
    ("operators-sound", "stages.*.operators.*.phase", put("sideways")),
    ("operators-sound", "stages.*.operators.*.compute_cycles", put(-5)),
    ("operators-sound", "stages.1.operators.*.macs_effective", times(100)),
    ("cycles-sum", "stages.*.cycles.forward_cycles", nudge),
    ("cycles-sum", "stages.*.cycles.update_cycles", nudge),
    ("cycles-sum", "stages.*.operators.*.network_cycles", nudge),
    ("cycles-sum", "stages.*.operators.*", put(DROP)),
    ("initiation-interval", "totals.initiation_interval_cycles", nudge),
    ("initiation-interval", "totals.bound_by", put("host: input bandwidth")),
    ("initiation-interval", "totals.bound_by", put("loop: FIFO")),
    ("initiation-interval", "totals.initiation_interval_cycles", plus(100)),
    ("initiation-interval", "edges.2.gradient_bytes", times(500)),
    ("initiation-interval", "edges.4.forward_bytes", times(500)),
    ("initiation-interval", "totals.initiation_interval_cycles", put(0)),
    ("throughput", "totals.throughput_samples_per_s", times(1.001)),
    ("throughput", "totals.initiation_interval_cycles", plus(1)),
    ("throughput", "clock_hz", times(1.1)),
    ("latency", "totals.latency_cycles", nudge),
    ("latency", "stages.*.cycles.forward_cycles", plus(8)),
    ("latency", "totals.host_latency_cycles", nudge),
    ("utilisation", "totals.utilisation", put(1.01)),
    ("utilisation", "totals.utilisation", put(0.0)),
    ("utilisation", "totals.utilisation", times(0.999)),
    ("memory-classes", "stages.*.memory_per_pe.gradient_bytes", put(-4)),
    ("memory-capacity", "stages.*.memory_per_pe.weights_bytes", plus(10000)),
    ("memory-capacity", "totals.memory_capacity_per_pe_bytes", put(500)),
    ("memory-maximum", "totals.max_memory_per_pe_bytes", nudge),
    ("memory-maximum", "stages.0.memory_per_pe.stream_buffer_bytes", nudge),
    ("activation-fifo", "stages.0.memory_per_pe.activation_fifo_bytes", nudge),
    ("skip-fifos", "stages.*.memory_per_pe.skip_fifo_bytes", nudge),
    ("parameter-bytes", "stages.*.memory_per_pe.gradient_bytes", nudge),
    ("parameter-bytes", "stages.*.memory_per_pe.optimizer_bytes", nudge),
    ("parameter-bytes", "stages.*.memory_per_pe.weights_bytes", plus(999)),
    ("parameter-bytes", "stages.1.memory_per_pe.weights_bytes", plus(-20)),
    ("normalization-bytes", "stages.*.memory_per_pe.normalization_bytes", nudge),
    ("bound-by", "stages.*.bound_by", put("network")),
    ("macs-of-stage", "stages.*.macs_dense", nudge),
    ("macs-of-stage", "stages.*.macs_effective", nudge),
    ("macs-of-stage", "stages.*.operators.*.macs_dense", nudge),
    ("macs-of-plan", "totals.macs_dense", nudge),
    ("macs-of-plan", "totals.macs_effective", nudge),
    ("nonzeros", "stages.*.nonzeros.total", plus(1000)),
    ("nonzeros", "stages.0.nonzeros.per_pe_max", put(1)),
    ("nonzeros", "stages.*.nonzeros.dense", put(-1)),
    ("nonzeros-mean", "stages.0.nonzeros.per_pe_mean", times(0.4)),
    ("nonzeros-mean", "stages.*.nonzeros.per_pe_mean", plus(100.0)),
    ("pes", "totals.pes_used", nudge),
    ("pes", "totals.pes_usable", put(257)),
    ("wafer-share", "totals.wafer_share", times(0.99)),
    ("wafers-in-order", "stages.*.uses.0.region.rectangle.wafer", put(1)),
    ("wafers-in-order", "stages.*.uses.0.region.rectangle.wafer", put(-1)),
    ("wafers-in-order", "totals.wafers_used", nudge),
    ("wafers-in-order", "totals.wafers_least", put(2)),
    ("wafers-in-order", "wafers", put(0)),
    ("fit", "fit", put([LEVER])),
    ("fit", "fit", put([FITTING, LEVER])),
    ("edges-match-inputs", "edges.*", put(DROP)),
    ("edges-match-inputs", "edges.*", put(TWICE)),
    ("edges-match-inputs", "edges.*.sink", plus(1)),
    ("edges-match-inputs", "edges.*.outputs.0", plus(1)),
    ("edges-match-inputs", "stages.2.inputs.*", put(DROP)),
    ("edges-match-inputs", "stages.*.inputs.0.output", plus(1)),
    ("forward-only", "stages.*.inputs.*.stage", put(3)),
    ("forward-only", "stages.*.inputs.*.output", put(-1)),
    ("edge-depth", "edges.*.depth", nudge),
    ("cannot-hang", "edges.3.depth", put(1)),
    ("stream-parts", "edges.*.parts", put(0)),
    ("stream-parts", "edges.*.window", put(5)),
    ("stream-parts", "edges.*.gradient_window", put(0)),
    ("edge-bytes", "edges.*.forward_bytes", put(-8)),
    ("edge-bytes", "edges.0.forward_bytes", nudge),
    ("edge-bytes", "edges.0.gradient_bytes", put(64)),
    ("route-ends", "edges.*.route", put([[15, 15], [15, 14]])),
    ("route-ends", "edges.*.route", put([])),
    ("route-hops", "edges.*.hops", nudge),
    ("route-hops", "edges.2.route.1.0", plus(1)),
    ("target-hash", "target_hash", put("0" * 64)),
    ("target-hash", "target", put("wse2")),
    ("target-numbers", "clock_hz", times(2)),
    ("target-numbers", "grid.*", plus(1)),
    ("target-numbers", "totals.memory_capacity_per_pe_bytes", plus(1)),
    ("provenance", "provenance.*", put(DROP)),
    ("provenance", "provenance.*", put(TWICE)),
    ("provenance", "provenance.3.value", plus(1)),
    ("provenance", "provenance.*.source", put("")),
)
# on a compiled network, with its programs and target at hand
COMPILED: tuple[tuple[str, str, Change], ...] = (
    ("stage-names", "stages.*.id", put("")),
    ("stage-names", "stages.*", put(TWICE)),
    ("parameters-bound-once", "parameters.*", put(DROP)),
    ("parameters-bound-once", "parameters.*", put(TWICE)),
    ("program-signatures", "parameters.*.shape.0", nudge),
    ("program-signatures", "parameters.*.dtype", put("float16")),
    ("program-signatures", "stages.1.inputs.0", put(DROP)),
    ("state-bound-once", "state.*", put(DROP)),
    ("masks-known", "masks.*", put("nobody.weight")),
    ("loss-in-last-stage", "loss.stage", nudge),
    ("loss-in-last-stage", "loss.output", plus(9)),
    ("loss-in-last-stage", "predictions.0.output", plus(9)),
    ("host-inputs", "inputs.*", put(DROP)),
    ("region-inside-grid", "stages.*.uses.0.region.rectangle.row", put(994)),
    ("region-inside-grid", "stages.*.uses.0.region.rectangle.column", put(-1)),
    ("regions-disjoint", "stages.*.uses.0.region.rectangle", put(CORNER)),
    ("tiling-fills-region", "stages.*.uses.0.region.rectangle.height", nudge),
    ("tiling-fills-region", "stages.*.uses.0.region.tiling.space_split", plus(1)),
    ("delay", "stages.*.delay", nudge),
    ("tick-order", "stages.-1.backward_first", put(True)),
    ("loss-in-last-stage", "stages.*", put(DROP)),
    ("fifo-depth", "stages.*.fifo_depth", nudge),
    ("off-wafer", "stages.*.off_wafer_bytes", put(1)),
    ("cycles-sum", "stages.*.cycles.backward_cycles", nudge),
    ("cycles-sum", "stages.*.operators.*.compute_cycles", plus(1)),
    ("operator-steps", "stages.0.operators.0.steps.0.in_features", plus(1)),
    ("operator-steps", "stages.0.operators.0.steps.0.kind", put("sideways")),
    ("operator-steps", "stages.0.operators.0.steps.0.nonzeros", put(-1)),
    ("operator-steps", "stages.0.operators.0.steps.0.nonzeros", plus(10**6)),
    ("operator-steps", "stages.0.operators.0.steps.0.halo", put(-1)),
    ("operator-steps", "stages.0.operators.0.steps.0.cycles", plus(10**6)),
    ("bound-by", "stages.*.bound_by", put("magic")),
    ("initiation-interval", "totals.initiation_interval_cycles", nudge),
    ("throughput", "totals.throughput_samples_per_s", times(1.0001)),
    ("latency", "totals.latency_cycles", nudge),
    ("utilisation", "totals.utilisation", times(0.999)),
    ("memory-capacity", "stages.*.memory_per_pe.stream_buffer_bytes", plus(43008)),
    ("memory-maximum", "totals.max_memory_per_pe_bytes", nudge),
    ("activation-fifo", "stages.*.memory_per_pe.activation_fifo_bytes", nudge),
    ("stream-buffers", "stages.*.memory_per_pe.stream_buffer_bytes", nudge),
    ("workspace", "stages.*.memory_per_pe.workspace_bytes", nudge),
    ("recompute", "stages.*.recompute", put(True)),
    ("skip-fifos", "stages.*.memory_per_pe.skip_fifo_bytes", nudge),
    ("parameter-bytes", "stages.*.memory_per_pe.gradient_bytes", nudge),
    ("parameter-bytes", "stages.*.memory_per_pe.optimizer_bytes", nudge),
    ("normalization-bytes", "stages.*.memory_per_pe.normalization_bytes", nudge),
    ("macs-of-stage", "stages.*.macs_effective", nudge),
    ("macs-of-plan", "totals.macs_dense", nudge),
    ("nonzeros", "stages.*.nonzeros.total", plus(10**6)),
    ("nonzeros-mean", "stages.*.nonzeros.per_pe_mean", plus(10.0**6)),
    ("pes", "totals.pes_used", nudge),
    ("wafer-share", "totals.wafer_share", times(1.001)),
    ("edges-match-inputs", "edges.*", put(DROP)),
    ("edges-match-inputs", "edges.*", put(TWICE)),
    ("edges-match-inputs", "edges.*.sink", nudge),
    ("forward-only", "stages.*.inputs.0.stage", put(99)),
    ("edge-depth", "edges.*.depth", nudge),
    ("edge-bytes", "edges.*.forward_bytes", nudge),
    ("edge-bytes", "edges.*.gradient_bytes", nudge),
    ("edge-bytes", "edges.*.rebuilt_bytes", nudge),
    ("given-back", "stages.*.rebuilds", put(True)),
    ("anchors", "stages.*.anchors", put([0])),
    ("route-ends", "edges.*.route.0.1", plus(700)),
    ("route-hops", "edges.*.hops", nudge),
    ("target-hash", "target_hash", put("0" * 64)),
    ("provenance", "provenance.*.value", put(-1)),
)
SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("rule", "path", "change"), COMPILED)
def test_each_mutation_of_a_compiled_network_is_named(
    rule: str, path: str, change: Change, seed: int, compiled: Plan, wse2: Target
) -> None:
    broken = _mutate(compiled.document, path, change, random.Random(f"{path} {seed}"))
    assert broken != compiled.document
    found = check(broken, wse2, compiled.programs)
    assert rule in {violation.rule for violation in found}, list(map(str, found))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("rule", "path", "change"), MUTATIONS)
def test_each_mutation_is_named(
    rule: str, path: str, change: Change, seed: int, document: PlanDocument, target: Target
) -> None:
    broken = _mutate(document, path, change, random.Random(f"{path} {seed}"))
    assert broken != document
    found = check(broken, target)
    assert rule in {violation.rule for violation in found}, list(map(str, found))


def test_every_rule_has_a_mutation() -> None:
    elsewhere = {
        "routed-loads",
        "low-rank-factors",
        "apart",
    }  # tests/compiler/plan/: test_routed, check/test_low_rank, check/test_apart
    assert {rule for rule, _, _ in (*MUTATIONS, *COMPILED)} == set(RULES) - elsewhere


def _mutate(document: PlanDocument, path: str, change: Change, rng: random.Random) -> PlanDocument:
    data = to_data(document)
    parent, key = _locate(data, _steps(path), rng)
    new = change(parent[key], rng)
    if new is DROP:
        del parent[key]
    elif new is TWICE:
        parent.insert(key, parent[key])
    else:
        parent[key] = new
    return from_data(PlanDocument, data)


def _steps(path: str) -> list[str]:
    """`files.stages/conv.json` has one dot that belongs to a name."""
    head, _, file = path.partition("files.")
    return ["files", file] if file else head.split(".")


def _locate(data: Any, steps: list[str], rng: random.Random) -> tuple[Any, Any]:
    for step in steps[:-1]:
        data = data[_key(data, step, rng)]
    return data, _key(data, steps[-1], rng)


def _key(data: Any, step: str, rng: random.Random) -> Any:
    if step == "*":
        return rng.randrange(len(data))
    return int(step) if isinstance(data, list) else step
