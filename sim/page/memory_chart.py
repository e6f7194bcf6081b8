"""A stage's memory over time as a stack of steps under the capacity."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.plan.picture.svg import axis, picture, text, tooltip
from .memory import Held

WIDTH, HEIGHT = 1180.0, 220.0
_LEFT, _FOOT, _TOP = 64.0, 24.0, 10.0
LAYERS = ("kept", "activations", "working")


def memory_svg(held: Sequence[Held], capacity_bytes: int) -> str:
    """Bytes on the fullest PE of one stage; `held` is by cycle and not empty."""
    begin, end = held[0].cycle, held[-1].cycle
    per_cycle = (WIDTH - _LEFT) / max(end - begin, 1)
    per_byte = (HEIGHT - _TOP - _FOOT) / max(capacity_bytes, 1)
    ground = HEIGHT - _FOOT
    at = [_LEFT + (entry.cycle - begin) * per_cycle for entry in held]
    tops = [_tops(entry) for entry in held]
    layers = [
        _layer(name, at, [ground - top[number] * per_byte for top in tops], ground)
        for number, name in reversed(list(enumerate(LAYERS)))
    ]
    marks = [_level(bytes_, ground - bytes_ * per_byte) for bytes_ in (0, capacity_bytes)]
    ends = text(_LEFT, HEIGHT - 8, f"{begin:,} cycles", "start")
    ends += text(WIDTH, HEIGHT - 8, f"{end:,} cycles", "end")
    label = f"Memory over time: {held[0].stage}"
    return picture(WIDTH, HEIGHT, f"{''.join(layers)}{''.join(marks)}{ends}", label)


def _tops(entry: Held) -> tuple[int, int, int]:
    """Upper edges of the layers in bytes."""
    both = entry.kept_bytes + entry.activation_bytes
    return entry.kept_bytes, both, both + entry.working_bytes


def _layer(name: str, at: Sequence[float], tops: Sequence[float], ground: float) -> str:
    """A staircase from one entry to the next, closed along the ground."""
    steps = "".join(f"H{x:.1f}V{top:.1f}" for x, top in zip(at[1:], tops[1:], strict=True))
    path = f"M{at[0]:.1f} {ground:.1f}V{tops[0]:.1f}{steps}V{ground:.1f}Z"
    return f'<path class="held {name}" d="{path}">{tooltip(name)}</path>'


def _level(bytes_: int, y: float) -> str:
    return axis(f"M{_LEFT} {y:.1f}H{WIDTH}") + text(_LEFT - 6, y, f"{bytes_:,} B", "end")
