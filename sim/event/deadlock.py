"""Who waits for whom when nobody can move: the cycle of waits, as data."""

from __future__ import annotations

from ...compiler.timing.wiring import PHASES, Wiring
from ..model.report import WaitLink
from ..model.state import TURN_OF_FORWARD, State, Tables


def cycle_of_waits(
    wiring: Wiring, table: Tables, state: State, samples: int
) -> tuple[WaitLink, ...]:
    """Follow the first unmet wait of a stuck unit until a unit comes up again."""
    unit = next(u for u in range(len(wiring.units)) if state.tick[u] < samples + table.delay[u])
    path: dict[int, WaitLink] = {}
    while unit not in path:
        on, path[unit] = _wait(wiring, table, state, unit)
        unit = on
    units = list(path)
    return tuple(path[u] for u in units[units.index(unit) :])


def _wait(wiring: Wiring, table: Tables, state: State, unit: int) -> tuple[int, WaitLink]:
    def round_of(other: int) -> int:
        tick = int(state.tick[other])
        return tick + min(int(table.lag[other]) + tick, int(table.ahead[other]))

    turn = wiring.units[unit].turn
    if state.part[unit] >= TURN_OF_FORWARD and turn is not None:
        other = min(turn.others, key=lambda one: (round_of(one), -one))
        names = wiring.units[unit].name, wiring.units[other].name
        phase = int(state.part[unit] - TURN_OF_FORWARD)
        sample = int(state.tick[unit]) - phase * int(table.delay[unit])
        return other, WaitLink(names[0], PHASES[phase], sample, "turn", "their region", names[1])
    phase, giving = divmod(int(state.part[unit]), 2)
    sample = int(state.tick[unit]) - phase * int(table.delay[unit])
    for number, channel in enumerate(wiring.channels):
        ends = (channel.producer, channel.consumer)
        here, there = ends if giving else ends[::-1]
        counter = state.taken[number] + channel.depth if giving else state.given[number]
        if (here, channel.phase) == (unit, phase) and counter <= sample:
            names = (wiring.units[here].name, wiring.units[there].name)
            wants = "room" if giving else "item"
            stream = f"{wiring.label(channel)}, depth {channel.depth}"
            return there, WaitLink(names[0], PHASES[phase], sample, wants, stream, names[1])
    raise AssertionError(f"unit {unit} stopped although nothing holds it")
