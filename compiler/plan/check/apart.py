"""Rules about stages whose forward has a region of its own, beside that of backward and update."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from ..document import PlanDocument
from ..stage_record import Rectangle, StageRecord
from .violation import Finding, Subject

_HAND_OVER = "weft.hand_over"
_WEIGHTS, _SAVED = "hand_over(weights)", "hand_over(saved)"
_CONSTANTS = (
    *("noc.link_bytes_per_cycle", "noc.hop_cycles", "noc.ramp_cycles", "noc.relay_cycles"),
    "noc.collective_start_cycles",
)


def apart(subject: Subject) -> Iterator[Finding]:
    """Both regions are alike and lie beside each other with their longer sides; the stage's
    backward is of another sample than the forward of its tick; and they hand over what they have
    for each other."""
    last = len(subject.plan.stages) - 1
    for position, stage in enumerate(subject.plan.stages):
        purposes = [use.purpose for use in stage.uses]
        if purposes == ["forward", "backward"]:
            yield from _regions(stage)
            if position == last or stage.backward_first or stage.off_wafer_bytes:
                yield Finding(f"{stage.id}.uses", "one region: its phases take turns", "two")
        yield from _handed_over(subject.plan, stage, purposes != ["all"])


def _regions(stage: StageRecord) -> Iterator[Finding]:
    one, other = (use.region for use in stage.uses)
    if (one.tiling, one.turned) != (other.tiling, other.turned):
        yield Finding(f"{stage.id}.uses", "two regions with one tiling", "two tilings")
    first, second = one.rectangle, other.rectangle
    if second not in (_below(first), _beside(first)):
        yield Finding(f"{stage.id}.uses", "regions of one size side by side", (first, second))
    elif second == (_below if first.height > first.width else _beside)(first) and (
        first.height != first.width
    ):
        yield Finding(f"{stage.id}.uses", "regions that touch with their longer sides", second)


def _below(one: Rectangle) -> Rectangle:
    return Rectangle(one.row + one.height, one.column, one.height, one.width, one.wafer)


def _beside(one: Rectangle) -> Rectangle:
    return Rectangle(one.row, one.column + one.width, one.height, one.width, one.wafer)


def _handed_over(plan: PlanDocument, stage: StageRecord, is_apart: bool) -> Iterator[Finding]:
    """What was saved of one sample goes over after the forward, the weights, if they are updated,
    before it."""
    values = {c.name: c.value for c in plan.provenance if isinstance(c.value, int | float)}
    memory, where = stage.memory_per_pe, f"{stage.id}.operators: hand over"
    saved = memory.activation_fifo_bytes // max(stage.fifo_depth, 1)
    trains = any(o.phase == "update" and o.operator != _HAND_OVER for o in stage.operators)
    sizes = {_WEIGHTS: memory.weights_bytes if trains else 0, _SAVED: saved}
    handed = [o for o in stage.operators if o.operator == _HAND_OVER]
    if any(o.phase != "forward" or o.name not in sizes for o in handed):
        yield Finding(where, f"{_WEIGHTS} and {_SAVED} in the forward", [o.name for o in handed])
    for name, size in sizes.items():
        own = [o for o in handed if o.name == name]
        given = sum(operator.compute_cycles + operator.network_cycles for operator in own)
        if not is_apart or not size:
            if own:
                yield Finding(f"{where}, {name}", "nothing", f"{given} cycles")
        elif all(constant in values for constant in _CONSTANTS):
            expected = _cycles([float(values[one]) for one in _CONSTANTS], size, stage.part)
            if given != expected:
                yield Finding(f"{where}, {name}", f"{expected} cycles", given)


def _cycles(constants: list[float], size_bytes: int, part: Rectangle) -> int:
    """The words of a line of PEs over the link at the border, and the hop of the last."""
    link, hop, ramp, relay, start = constants
    line = min(part.height, part.width)
    return ceil(line * ceil(size_bytes / link) + hop + 2 * ramp + relay + start)
