"""A plan of weft before the judge: its records as data, what its simulator says, its colours.

PYTHONPATH=tests python -m helpers.judge.verdict 0 1000     judges instances 0 to 999
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import weft
from weft.backend.errors import BrokenInvariantError, InfeasibleError, UserError
from weft.compiler.plan.codec import to_data
from weft.compiler.plan.document import PlanDocument
from weft.compiler.targets import load_target
from weft.compiler.targets.target import Target
from weft.compiler.timing.colours import colours_of
from weft.compiler.timing.layout import Layout
from weft.compiler.timing.wiring import wire

from . import colours, places, streams
from .instances import Network, machine, network, text_of
from .tally import tally

ROUNDING_CYCLES = 3
"""By which a latency may differ for each stage: parts of cycles are rounded up."""


def machine_of(document: Mapping[str, Any], folder: Path) -> Target:
    """The machine of a target's file."""
    path = folder / f"{document['name']}.yaml"
    path.write_text(text_of(document))
    return load_target(str(path))


def compiled(drawn: Network, target: Target) -> weft.Plan:
    """Raises InfeasibleError if the network does not fit, UserError if its streams would wait for
    each other."""
    return weft.compile(drawn.model, drawn.sample, drawn.loss, target, drawn.options)


def faults(document: PlanDocument, on: Mapping[str, Any], drawn: Network) -> Iterator[str]:
    """All that the judge finds wrong with a plan for a network on a machine."""
    plan = to_data(document)
    if any(lever["lever"] == "more wafers" for lever in plan["fit"]):
        on = {**on, "wafers": {"value": plan["wafers"]}}
    yield from places.place_faults(plan, on)
    yield from places.slow_faults(plan, on)
    yield from places.memory_faults(plan, on)
    sizes = [parameter.numel() for parameter in drawn.model.parameters()]
    yield from places.weight_faults(plan, drawn.kept, sizes)
    shared = [users for users in places.regions_of(plan).values() if len(users) > 1]
    if shared and not drawn.is_tied:
        yield f"stages {shared} share regions and no weight"
    yield from streams.route_faults(plan)
    yield from _time_faults(document, plan, on)
    layout = Layout.of(document)
    wiring = wire(layout)
    found = colours_of(layout, wiring)
    keys = [(channel.edge, channel.phase) for channel in wiring.channels]
    in_turns = frozenset(frozenset((keys[a], keys[b])) for a, b in found.sharing)
    own = dict(zip(keys, found.colour, strict=True))
    yield from colours.colour_faults(plan, on, own, in_turns)
    yield from _flight_faults(plan, on, wiring)


def _time_faults(document: PlanDocument, plan: Any, on: Mapping[str, Any]) -> Iterator[str]:
    """Loads of links, the interval and the latency against those of the plan and its simulator."""
    least, interval = streams.least_interval(plan, on), plan["totals"]["initiation_interval_cycles"]
    is_loop = plan["totals"]["bound_by"].startswith("loop")
    if interval < least or (not is_loop and interval >= least + 1):
        yield f"interval of {interval}, {float(least)} for what is slowest"
    expected = streams.occupancies(plan, on)
    for report in (weft.simulate(document, 40, "analytic"), weft.simulate(document, 40, "event")):
        cycles = report.initiation_interval_cycles
        for number, row in enumerate(report.edges):
            loads = row.forward_load, row.gradient_load
            for phase, load in enumerate(loads):
                due = expected.get((number, phase), 0)
                if abs(load * cycles - due) > 1e-6 * max(due, 1):
                    yield f"edge {number}, {phase}: {load * cycles} cycles, {due} by the links"
        if report.level == "event" and report.steady and abs(cycles / interval - 1) > 2e-3:
            yield f"simulated interval of {cycles}, planned {interval}"
        if cycles < float(least) * (1 - 1e-9) and report.steady:
            yield f"{report.level} interval of {cycles}, {float(least)} for what is slowest"
    alone, slack = streams.latency(plan, on), ROUNDING_CYCLES * (len(plan["stages"]) + 1)
    for given in (
        plan["totals"]["latency_cycles"],
        weft.simulate(document, 1, "event").forward_latency_cycles,
    ):
        if not alone - 1e-6 <= given <= alone + slack:
            yield f"latency of {given}, {float(alone)} part by part"


def _flight_faults(plan: Any, on: Mapping[str, Any], wiring: Any) -> Iterator[str]:
    """Distances in cycles of the simulator against those of the routes."""
    expected = streams.flights(plan, on)
    for channel in wiring.channels:
        due = expected[channel.edge, channel.phase]
        if channel.latency_cycles != due:
            yield f"edge {channel.edge}: flight of {channel.latency_cycles}, {due} by its hops"


def judged(seed: int, folder: Path) -> tuple[str, tuple[str, ...]]:
    """How an instance ended, and what is wrong with its plan."""
    drawn, on = network(seed), machine(seed)
    try:
        plan = compiled(drawn, machine_of(on, folder))
    except InfeasibleError:
        return "does not fit", ()
    except UserError as error:
        return f"refused: {error.got}", ()
    except BrokenInvariantError as error:
        return "unsound by weft's own rules", (str(error),)
    kind = "placed" if plan.document.totals.wafers_used == 1 else "placed on several wafers"
    return kind, tuple(faults(plan.document, on, drawn))


if __name__ == "__main__":
    sys.exit(tally(judged))
