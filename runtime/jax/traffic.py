"""All that is in flight: in which buffer it lies, and what happens to it in one tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import jax.numpy as jnp

from ...compiler.plan.program import Source
from ...compiler.plan.schedule import Read, TickSchedule, ValueKey, spec_of
from ..tick.engine import Keys, Reads
from ..tick.stage_classes import Classes, classes_of_one
from .fifo import Fifo, all_known
from .rings import Rings

Array = Any


class InRings(NamedTuple):
    """Where a FIFO of a class lies: in the rings of these keys, as their `member`-th."""

    rings: Keys
    member: int


@dataclass(frozen=True)
class Buffers:
    """The FIFOs of a schedule; those of a class of several stages lie in rings."""

    schedule: TickSchedule
    classes: Classes
    kind: type[Fifo] = Fifo

    @cached_property
    def fifos(self) -> dict[ValueKey, Fifo]:
        """A FIFO for every key that a later tick reads."""
        stages = self.schedule.stages
        return {k: self.kind(spec_of(stages, k), age) for k, age in self.schedule.buffers.items()}

    @cached_property
    def in_rings(self) -> dict[ValueKey, InRings]:
        """Where the FIFOs of classes lie; also of members that nobody reads."""
        found = {}
        for own in self.classes:
            for steps in (self.schedule.forwards, self.schedule.backwards):
                writes = (steps[i].writes for i in own.indices) if not own.is_single else ()
                for keys in zip(*writes, strict=True):
                    if any(key in self.fifos for key in keys):
                        found |= {key: InRings(keys, n) for n, key in enumerate(keys)}
        return found

    @cached_property
    def held(self) -> dict[ValueKey | Keys, Fifo | Rings]:
        """What there are buffers of: FIFOs by key, and rings by the keys of their members."""
        single = {key: fifo for key, fifo in self.fifos.items() if key not in self.in_rings}
        rings = {}
        for keys in dict.fromkeys(place.rings for place in self.in_rings.values()):
            reach = tuple(self.fifos[key].reach if key in self.fifos else 0 for key in keys)
            rings[keys] = Rings(spec_of(self.schedule.stages, keys[0]), reach)
        return {**single, **rings}

    def empty(self) -> tuple[Array, ...]:
        """Buffers of zeros, on the host."""
        return tuple(fifo.empty() for fifo in self.held.values())


def plain_buffers(schedule: TickSchedule, kind: type[Fifo] = Fifo) -> Buffers:
    """A FIFO of its own for every key."""
    return Buffers(schedule, classes_of_one(schedule.stages), kind)


class JaxTraffic:
    """All FIFOs during one tick: what was in them, and what has been pushed so far.

    A class reads what classes before and after it hand on, itself included, so that is all read
    before anything of it is overwritten; what a stage keeps for itself is pushed at once.
    """

    def __init__(self, buffers: Buffers, arrays: Sequence[Array], tick: Array) -> None:
        self.in_rings, self.held, self.tick = buffers.in_rings, buffers.held, tick
        self.old: dict[Any, Array] = dict(zip(self.held, arrays, strict=True))
        self.new = dict(self.old)
        self.made: dict[ValueKey, tuple[Array, int | None]] = {}
        self._sent: dict[Keys, Array] = {}
        self._seen: dict[Keys, list[Array]] = {}

    def push(self, keys: Keys, value: Array) -> None:
        """Write this tick's value of a key, or a row for each of several."""
        rows = [None] if len(keys) == 1 else range(len(keys))
        self.made |= {key: (value, row) for key, row in zip(keys, rows, strict=True)}
        name = self._name(keys)
        if name not in self.held:
            return
        if name is keys and _kind(keys[0]) is None:
            self._sent[keys] = value
        else:
            self.new[name] = self.held[name].push(self.old[name], value, self.tick)

    def read(self, reads: Reads) -> Array:
        """The value of a key that was pushed so many ticks ago, or a row for each of several."""
        return self._value(reads[0]) if len(reads) == 1 else self._rows(reads)

    def result(self, key: ValueKey) -> Array:
        """What was pushed in this tick."""
        value, row = self.made[key]
        return value if row is None else value[row]

    def known(self, keys: Sequence[Keys], values: Sequence[Array]) -> Array:
        """True, once the outputs and stashed weights among `keys` and all `values` are known."""
        outputs = [self.made[own[0]][0] for own in keys if isinstance(own[0], Source)]
        names = (
            own if own[0] in self.in_rings else own[0] for own in keys if _kind(own[0]) == "stash"
        )
        stashes = [self.new[name] for name in names if name in self.held]
        return all_known([*outputs, *stashes, *values], self.tick)

    def buffers(self) -> tuple[Array, ...]:
        """The buffers after the tick."""
        for keys, values in self._sent.items():
            waits = ~all_known(self._seen.get(keys, []), self.tick)
            tick = self.tick + waits.astype(self.tick.dtype)
            self.new[keys] = self.held[keys].push(self.old[keys], values, tick)
        return tuple(self.new.values())

    def _name(self, keys: Keys) -> ValueKey | Keys:
        """What their FIFOs are held by."""
        return keys if keys[0] in self.in_rings else keys[0]

    def _value(self, read: Read) -> Array:
        key, age = read
        if age == 0:
            return self.result(key)
        if key in self.in_rings:
            return self._rows([read])[0]
        fifo: Any = self.held[key]
        return fifo.read(self.old[key], self.new[key], age, self.tick)

    def _rows(self, reads: Sequence[Read]) -> Array:
        """One row for each read."""
        found = []
        for keys, run in groupby(reads, lambda read: self._rings(read.key)):
            if keys is None:
                found += [self._value(read)[None] for read in run]
            else:
                found.append(self._from_rings(keys, list(run)))
        return found[0] if len(found) == 1 else jnp.concatenate(found)

    def _rings(self, key: ValueKey) -> Keys | None:
        return self.in_rings[key].rings if key in self.in_rings else None

    def _from_rings(self, keys: Keys, reads: Sequence[Read]) -> Array:
        rings: Any = self.held[keys]
        members = [self.in_rings[read.key].member for read in reads]
        ages = [read.age for read in reads]
        if self.new[keys] is not self.old[keys]:  # what a class keeps for itself
            return rings.read(self.new[keys], members, ages, self.tick)
        values = rings.read_apart(self.old[keys], members, ages, self.tick)
        self._seen.setdefault(keys, []).append(values)
        return values


def _kind(key: ValueKey) -> str | None:
    """ "saved" or "stash" of what a stage keeps for itself."""
    return key[0] if isinstance(key, tuple) and len(key) == 3 else None
