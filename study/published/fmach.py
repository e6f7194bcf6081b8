"""The ring product of products.py with its local product done 0, 1 or 2 times in each step.

Measured on the vendor's fabric simulator. There the loop over k lies within the loop of repetitions
(published source); a turn of either costs what a turn of SUMMA's nested loops does, beside the
descriptor work, which has a lone loop's turns in it.
"""

from __future__ import annotations

from ...compiler.machine.exchange import message
from ...compiler.machine.instruction import software
from ...compiler.machine.local_product import mapped_product_cycles
from ...compiler.machine.ring import ring_cycles
from ...compiler.plan.evidence.mechanisms import EXCHANGE, WRITTEN_PRODUCT, Mix
from ...compiler.targets.target import Target
from ...sim.validation.row import Row
from .kernel import PublishedKernel

_DTYPE, _ITEMSIZE = "float16", 2


def fmach_loop(target: Target, row: Row) -> tuple[float, float, float]:
    """Cycles with the local product done no time, once and twice."""
    m, k, n = (row.count(f"tile_{axis}") for axis in "mkn")
    row.require_memory(target, (2 * (m * k + k * n) + m * n) * _ITEMSIZE)
    left, right = (message(target, size * _ITEMSIZE) for size in (m * k, k * n))
    loops = (1 + k) * software(target, "turn_cycles")
    product = loops + mapped_product_cycles(target, _DTYPE, m, k, n)
    none, once, twice = (
        float(ring_cycles(target, row.count("p"), left, right, times * product))
        for times in range(3)
    )
    return none, once, twice


def _mixes(values: tuple[float, ...]) -> tuple[Mix, ...]:
    """What is beyond the ring without a product is the products'."""
    ring = values[0]
    return tuple({EXCHANGE: ring / all_, WRITTEN_PRODUCT: 1 - ring / all_} for all_ in values)


_MEASURED = ("cycles_repeat0", "cycles_repeat1", "cycles_repeat2")
KERNELS = (PublishedKernel("fmach_loop", "wse3", _MEASURED, fmach_loop, _mixes),)
