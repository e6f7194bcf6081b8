"""The independent checker: re-derives what a plan says, without the code that made it.

    violations = check(document, target, programs)

Each rule is one small function; `RULES` names them. A plan is sound when no rule finds anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...targets.target import Target
from ..document import PlanDocument
from ..program import StageProgram
from . import (
    accounting,
    apart,
    geometry,
    given_back,
    hang,
    hardware,
    identity,
    memory,
    steps,
    timing,
    whole,
    wiring,
    workspace,
)
from .violation import Finding, Rule, Subject, Violation

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "format": identity.format_version,
        "stage-names": identity.stage_names,
        "parameters-bound-once": identity.parameters_bound,
        "state-bound-once": identity.state_bound,
        "masks-known": identity.masks_known,
        "loss-in-last-stage": identity.loss_is_last,
        "programs-listed": identity.programs_listed,
        "tensor-records": identity.tensor_records,
        "program-signatures": identity.program_signatures,
        "host-inputs": identity.host_inputs,
        "region-uses": geometry.region_uses,
        "region-inside-grid": geometry.inside_grid,
        "wafers-in-order": geometry.wafers_in_order,
        "regions-disjoint": geometry.disjoint,
        "apart": apart.apart,
        "tiling-fills-region": geometry.tiling_fills_region,
        "delay": timing.delays,
        "fifo-depth": timing.fifo_depths,
        "tick-order": timing.tick_orders,
        "operators-sound": timing.operators_sound,
        "bound-by": timing.bound_by,
        "cycles-sum": timing.cycles_cover_operators,
        "initiation-interval": whole.initiation_interval,
        "throughput": whole.throughput,
        "latency": whole.latency,
        "cannot-hang": hang.cannot_hang,
        "utilisation": whole.utilisation,
        "fit": whole.levers,
        "memory-classes": memory.classes_sound,
        "memory-capacity": memory.fits_capacity,
        "memory-maximum": memory.fullest_pe,
        "activation-fifo": memory.activation_fifo,
        "off-wafer": memory.off_wafer,
        "recompute": memory.recomputed,
        "given-back": given_back.given_back,
        "anchors": given_back.anchors,
        "workspace": workspace.workspace,
        "stream-buffers": memory.stream_buffers,
        "skip-fifos": memory.skip_fifos,
        "parameter-bytes": memory.parameter_bytes,
        "normalization-bytes": memory.normalization_bytes,
        "macs-of-stage": accounting.macs_of_stage,
        "operator-steps": steps.operator_steps,
        "low-rank-factors": steps.low_rank_factors,
        "routed-loads": steps.routed_loads,
        "macs-of-plan": accounting.macs_of_plan,
        "nonzeros": accounting.nonzeros,
        "nonzeros-mean": accounting.nonzeros_mean,
        "pes": accounting.pes,
        "wafer-share": accounting.wafer_share,
        "edges-match-inputs": wiring.edges_match_inputs,
        "forward-only": wiring.forward_only,
        "edge-depth": wiring.edge_depths,
        "stream-parts": wiring.stream_parts,
        "edge-bytes": wiring.edge_bytes,
        "route-ends": wiring.routes_join_centres,
        "route-hops": wiring.route_hops,
        "target-hash": hardware.target_hash,
        "target-numbers": hardware.target_numbers,
        "provenance": hardware.provenance,
    }
)


def check(
    plan: PlanDocument,
    target: Target | None = None,
    programs: Mapping[str, StageProgram] | None = None,
) -> tuple[Violation, ...]:
    """All broken rules of `plan`, in the order of `RULES`; empty when the plan is sound.

    With `target`, its hash, grid, clock, memory and constants are compared with the plan's. With
    `programs`, streams, shapes and saved bytes are compared with the programs' signatures.
    """
    subject = Subject(plan, target, programs or {})
    return tuple(
        Violation(name, finding.where, str(finding.expected), str(finding.got))
        for name, rule in RULES.items()
        for finding in rule(subject)
    )


def premises(plan: PlanDocument) -> tuple[hang.Premise, ...]:
    """What the proof rests on that a sound plan cannot hang."""
    return hang.premises(Subject(plan, None, {}))


__all__ = ["RULES", "Finding", "Rule", "Subject", "Violation", "check", "premises"]
