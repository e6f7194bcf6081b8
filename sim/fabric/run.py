"""Running a region on a target: latencies from its constants, the answer as plain data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend.errors import UserError
from ...compiler.targets.target import Target
from ..machine.pe import software
from .loop import FINISHED, LANE, QUEUE, simulate
from .region import Region


@dataclass(frozen=True)
class FabricResult:
    """`cycles` until the last core finished; `finish` and `memory` per PE (row, column, ...).

    `link_words` (row, column, port) counts what left each router to the east, west, north, south.
    `stuck` names the cores that wait for ever, with the instruction they wait in.
    """

    cycles: int
    finish: np.ndarray
    memory: np.ndarray
    link_words: np.ndarray
    stuck: tuple[str, ...]


def run(region: Region, target: Target, memory: np.ndarray | None = None) -> FabricResult:
    """Simulate `region` with the target's hop, ramp and relay latencies, rounded to whole cycles.

    `memory` (row, column, words) float32 is what each core holds at the start; default zeros.

    Raises UserError for routes that do not join, or latencies longer than a queue can cover.
    """
    words = max(region.longest_vector(), 1 if memory is None else memory.shape[-1])
    held = np.zeros((region.pes, words), np.float32)
    if memory is not None:
        held[:, : memory.shape[-1]] = memory.reshape(region.pes, -1)
    hop, ramp, relay = _latencies(target)
    code, starts = region.code()
    working = np.zeros(region.pes * region.colours * LANE, np.float32)
    status, cycles, finish, link_words, counter = simulate(
        *(region.colours, region.outputs().ravel(), region.hops(), code, starts, held, working),
        *(hop, ramp, relay, hop + ramp + relay),
    )
    shape = (region.height, region.width)
    return FabricResult(
        cycles=int(finish.max(initial=0)) if status == FINISHED else int(cycles),
        finish=finish.reshape(shape),
        memory=held.reshape(*shape, words),
        link_words=link_words.reshape(*shape, -1),
        stuck=() if status == FINISHED else _stuck(region, starts, counter),
    )


def _latencies(target: Target) -> tuple[int, int, int]:
    hop, ramp = round(target.noc.hop_cycles), round(target.noc.ramp_cycles)
    relay = round(software(target, "relay_cycles"))
    if max(hop, ramp + relay) >= QUEUE or hop < 1 or ramp < 1:
        raise UserError(
            f"target {target.name}, noc",
            expected=f"latencies of 1 to {QUEUE - 1} cycles",
            got=f"hop {hop}, ramp {ramp}, relay {relay}",
            change="the fabric level needs shorter latencies",
        )
    return hop, ramp, relay


def _stuck(region: Region, starts: np.ndarray, counter: np.ndarray) -> tuple[str, ...]:
    waiting = np.nonzero(counter < starts[1:])[0]
    return tuple(
        f"row {pe // region.width}, column {pe % region.width}:"
        f" instruction {counter[pe] - starts[pe]}"
        for pe in waiting
    )
