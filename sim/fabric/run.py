"""Running a region on a target: latencies from its constants, the answer as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from ...backend.errors import UserError
from ...compiler.targets.target import Target
from .conservation import check_conservation
from .fold import FoldedPart, fold
from .loop import FINISHED, LONGEST, QUEUE, TOO_LONG, simulate
from .pe_memory import check_shape, check_vectors
from .region import FabricRegion, Operation


@dataclass(frozen=True)
class FabricResult:
    """`cycles` until the last core finished; `finish` and `memory` per PE (row, column, ...).

    `link_words` (row, column, port) counts what left each router to the east, west, north, south.
    `stuck` names the cores that wait for ever, with the instruction that they wait in and its
    colours. `classes` is how
    many kinds of components there were: each was simulated once.
    """

    cycles: int
    finish: np.ndarray
    memory: np.ndarray
    link_words: np.ndarray
    stuck: tuple[str, ...]
    classes: int


def run(region: FabricRegion, target: Target, memory: np.ndarray | None = None) -> FabricResult:
    """Simulate `region` with the target's hop, ramp and relay latencies, the first two rounded to
    whole cycles.

    `memory` (row, column, words) float32 is what each core holds at the start. Without it only
    times are simulated, and the result's memory has no words.

    Raises UserError for routes that do not join or lose words, vectors larger than a PE's memory,
    or latencies longer than a queue can cover.
    """
    hop, ramp, relay = _latencies(target)
    parts = fold(region)
    for part in parts:
        check_conservation(region, part)
        check_vectors(part, target)
    words = max([1 if memory is None else memory.shape[-1], *map(_longest_vector, parts)])
    held = np.zeros((region.pes, words), np.float32)
    if memory is not None:
        check_shape(region, target, memory)
        held[:, : memory.shape[-1]] = memory.reshape(region.pes, -1)
    finish = np.zeros(region.pes, np.int64)
    link_words = np.zeros((region.pes, 4), np.int64)
    cycles, stuck = 0, []
    for part in parts:
        copies = part.pes if memory is not None else part.pes[:0]
        own = np.ascontiguousarray(held[copies].transpose(1, 2, 0)).reshape(
            part.pes.shape[1], words, len(copies)
        )
        relays = _spread(relay, region, part)
        status, last, ends, sent, lines = simulate(
            *(region.colours, part.outputs, part.own_words, part.hops, part.code, part.starts),
            *(part.repeats, own, hop, ramp, relays, hop + ramp + ceil(relay)),
        )
        if status == TOO_LONG:
            raise _too_long(region, target)
        held[copies] = own.transpose(2, 0, 1)
        finish[part.pes], link_words[part.pes] = ends, sent.reshape(-1, 4)
        cycles = max(cycles, int(ends.max()) if status == FINISHED else int(last))
        stuck += _stuck(region, part, lines)
    shape = (region.height, region.width)
    return FabricResult(
        cycles=cycles,
        finish=finish.reshape(shape),
        memory=held[:, : words if memory is not None else 0].reshape(*shape, -1),
        link_words=link_words.reshape(*shape, -1),
        stuck=tuple(stuck),
        classes=len(parts),
    )


def _longest_vector(part: FoldedPart) -> int:
    """Most words that an instruction touches."""
    return int(part.code[part.code[:, 0] != Operation.COMPUTE, 1].max(initial=1))


_GOLDEN = (5**0.5 - 1) / 2


def _spread(cycles: float, region: FabricRegion, part: FoldedPart) -> np.ndarray:
    """Whole cycles for every PE of a part. Their mean is `cycles` on any straight line, at any
    distance of its members: multiples of the golden ratio are spread evenly (Weyl 1916)."""
    rows, columns = np.divmod(part.pes[0], region.width)
    places = (rows - rows.min() + columns - columns.min() + 0.5) * _GOLDEN % 1
    return (int(cycles) + (places < cycles % 1)).astype(np.int32)


def _latencies(target: Target) -> tuple[int, int, float]:
    hop, ramp = round(target.noc.hop_cycles), round(target.noc.ramp_cycles)
    relay = target.noc.relay_cycles
    if max(hop, ramp + ceil(relay)) >= QUEUE or hop < 1 or ramp < 1:
        raise UserError(
            f"target {target.name}, noc",
            expected=f"latencies of 1 to {QUEUE - 1} cycles",
            got=f"hop {hop}, ramp {ramp}, relay {relay:g}",
            change="the fabric level needs shorter latencies",
        )
    return hop, ramp, relay


def _too_long(region: FabricRegion, target: Target) -> UserError:
    return UserError(
        f"fabric region of {region.height} x {region.width} on {target.name}",
        expected=f"programs that end within {LONGEST:,} cycles",
        got="more",
        change="fewer repeats or shorter computations",
    )


def _stuck(region: FabricRegion, part: FoldedPart, lines: np.ndarray) -> list[str]:
    """The cores of all components of a class that are still at a line of their program."""
    waiting = np.nonzero(lines < part.starts[1:])[0]
    return [
        f"row {pe // region.width}, column {pe % region.width}:"
        f" instruction {lines[local] - part.starts[local]}{_waits_for(part.code[lines[local]])}"
        for component in part.pes
        for local, pe in zip(waiting, component[waiting], strict=True)
    ]


def _waits_for(instruction: np.ndarray) -> str:
    """What a line of a program that does not end takes from which colour, or sends to which."""
    operation, _, incoming, outgoing = instruction[:4]
    if operation in (Operation.RECEIVE, Operation.ADD):
        return f" takes from colour {incoming}"
    if operation == Operation.SEND:
        return f" sends to colour {outgoing}"
    return f" takes from colour {incoming}, sends to colour {outgoing}"
