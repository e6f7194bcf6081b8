"""C = A B in fp16 on p x p PEs, Cannon-like on a ring folded into each row and column.

The ring visits every second PE and comes back over the others, so a step is two hops long. First
p / 2 blocking exchanges of the A tiles skew them; then p steps, each of which exchanges both tiles
with the ring neighbours while the core multiplies the tiles it has: per k one set of descriptors,
then n multiply-adds of m elements, mapped over a row of B. Half of an instruction's descriptor work
is done once per product. Odd elements stay at home: a tile is sent in whole words, so a 1 x 1 tile
moves nothing.

fmach_loop is the same program with the local product done 0, 1 or 2 times per step, measured on the
vendor's fabric simulator. There the loop over k lies within the loop of repetitions (published
source); a turn of either costs what a turn of the nested loops of summa.py does, beside the
descriptor work, which has a lone loop's turns in it.
"""

from __future__ import annotations

from ....compiler.targets.target import Target
from ..exchange import Tile, blocking, overlapped, tile_of
from ..pe import instruction_cycles, mapped_product_cycles, software
from .kernel import Kernel, Row

_DTYPE, _ITEMSIZE = "float16", 2
_RING_HOPS = 2


def mesh_gemm(target: Target, row: Row) -> tuple[float]:
    """Cycles of one product of many."""
    m, k, n = _shape(target, row)
    return (ring_product_cycles(target, row.count("p"), m, k, n),)


def fmach_loop(target: Target, row: Row) -> tuple[float, float, float]:
    """Cycles with the local product done no time, once and twice."""
    m, k, n = _shape(target, row)
    loops = (1 + k) * software(target, "turn_cycles")
    product = loops + local_product_cycles(target, m, k, n)
    none, once, twice = (
        _program(target, row.count("p"), m, k, n, times * product, True) for times in range(3)
    )
    return none, once, twice


def ring_product_cycles(
    target: Target, pes: int, m: int, k: int, n: int, skew: bool = True
) -> float:
    """The whole product; without `skew` where the A tiles are still in place from another one."""
    return _program(target, pes, m, k, n, local_product_cycles(target, m, k, n), skew)


def local_product_cycles(target: Target, m: int, k: int, n: int) -> float:
    """The tiles of one step, with what is set up once per product."""
    return instruction_cycles(target) / 2 + mapped_product_cycles(target, _DTYPE, m, k, n)


def _shape(target: Target, row: Row) -> tuple[int, int, int]:
    """A PE holds two tiles of each operand, one to multiply and one that arrives."""
    m, k, n = row.count("tile_m"), row.count("tile_k"), row.count("tile_n")
    row.require_memory(target, (2 * (m * k + k * n) + m * n) * _ITEMSIZE)
    return m, k, n


def _program(target: Target, pes: int, m: int, k: int, n: int, compute: float, skew: bool) -> float:
    left, right = tile_of(target, m * k, _ITEMSIZE), tile_of(target, k * n, _ITEMSIZE)
    step = software(target, "step_cycles") + overlapped(compute, left, right)
    entry = software(target, "call_cycles") + instruction_cycles(target)
    skewing = (pes // 2) * _skew(target, left) if skew else 0.0
    return entry + skewing + pes * step


def _skew(target: Target, left: Tile) -> float:
    """One exchange on the ring. Nobody is first on a ring, so everybody waits for a tile's flight,
    but for the time in which its own receive starts: unlike `shift`, this program begins to send
    and to receive at once (published source of MeshGEMM)."""
    noc = target.noc
    flight = 2 * noc.ramp_cycles + _RING_HOPS * noc.hop_cycles if left.words else 0.0
    wait = max(0.0, flight - software(target, "fabric_issue_cycles"))
    return blocking(target, left) + wait


KERNELS = (
    Kernel("mesh_gemm", "wse3", ("cycles",), mesh_gemm),
    Kernel(
        "fmach_loop",
        "wse3",
        ("cycles_repeat0", "cycles_repeat1", "cycles_repeat2"),
        fmach_loop,
    ),
)
