"""What holds of every mechanism at any size: many sizes at once cost what each costs alone, more
work never takes less time, and nothing is faster than links, ports and arithmetic allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.kernels.contraction import Contraction, ProductPart, price
from weft.compiler.kernels.nonzeros import WeightTiles
from weft.compiler.kernels.roles import Roles
from weft.compiler.kernels.site import Site
from weft.compiler.machine import collectives, exchange, instruction, local_product, ring, summa
from weft.compiler.machine.local_product import LocalProduct
from weft.compiler.machine.product import ProductKind
from weft.compiler.machine.tilings import ALL_REDUCE, MULTICAST, RING, SUMMA, Tilings
from weft.compiler.targets import Target, load_target

QUICK = settings(max_examples=60, deadline=None, derandomize=True)
WSE2, WSE3 = load_target("wse2"), load_target("wse3")
WRITTEN = replace(WSE3, software=replace(WSE3.software, triggered=False))
TARGETS = (WSE2, WSE3, WRITTEN, load_target("dojo_d1"), load_target("wormhole"))
LINKED = (WSE2, WSE3, load_target("tiny_mesh"), load_target("gc200"))

Form = Callable[..., Any]
ALONG_A_LINE: dict[str, Form] = {
    "broadcast": lambda noc, w, p, s, g: collectives.broadcast(noc, w, p, s),
    "reduce": lambda noc, w, p, s, g: collectives.reduce(noc, w, p, s, g),
    "reduce_behind": lambda noc, w, p, s, g: collectives.reduce_behind(noc, w, p, s, g),
    "all_reduce": collectives.all_reduce,
    "all_reduce_behind": lambda noc, w, p, s, g: collectives.all_reduce_behind(noc, w, p, s, g),
    "all_reduce_middle": lambda noc, w, p, s, g: collectives.all_reduce_middle(noc, w, p, s),
    "all_reduce_star": lambda noc, w, p, s, g: collectives.all_reduce_star(noc, w, p),
    "border": lambda noc, w, p, s, g: collectives.border(noc, w, p, s),
}
WAYS = {"all_reduce": 2, "border": 2}
"""Times that words go along the line."""
HIDING = ("reduce_behind", "all_reduce_behind")
LINE = st.tuples(st.integers(0, 300), st.integers(1, 90), st.integers(1, 130), st.just(0))
of_target = st.sampled_from(LINKED)


def arrays(rows: list[tuple[int, ...]]) -> list[Any]:
    return [np.array(column, np.int64) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("name", ALONG_A_LINE)
@QUICK
@given(target=of_target, lines=st.lists(LINE, min_size=2, max_size=6))
def test_many_lines_at_once_cost_what_each_costs_alone(name, target, lines):
    form = ALONG_A_LINE[name]
    together = form(target.noc, *arrays(lines))
    alone = [form(target.noc, *arrays([line]))[0] for line in lines]
    assert together.tolist() == alone


@pytest.mark.parametrize("name", ALONG_A_LINE)
@QUICK
@given(target=of_target, line=LINE, axis=st.integers(0, 2), more=st.integers(1, 60))
def test_more_words_pes_or_lines_never_take_less(name, target, line, axis, more):
    larger = (*line[:axis], line[axis] + more, *line[axis + 1 :])
    one, other = ALONG_A_LINE[name](target.noc, *arrays([line, larger]))
    assert one <= other


@pytest.mark.parametrize("name", ALONG_A_LINE)
@QUICK
@given(target=of_target, line=LINE)
def test_no_word_is_faster_than_its_link_and_its_way(name, target, line):
    """Of lines that share a link it carries all words; the farthest PE is the whole line away."""
    words, pes, spacing, _ = line
    (found,) = ALONG_A_LINE[name](target.noc, *arrays([line]))
    if words == 0 or pes == 1:
        assert name == "border" or found == 0
        return
    spacing = 1 if name == "all_reduce_star" else spacing
    own = words if name == "border" else spacing * words
    length = pes if name == "border" else pes - 1
    ways = WAYS.get(name, 1) if name != "all_reduce" else 1
    far = length * spacing * target.noc.hop_cycles
    assert found >= ways * far
    assert name in HIDING or found >= own


def products(target: Target) -> st.SearchStrategy[LocalProduct]:
    """Of one dense tile or sparse one."""
    dtypes = [dtype for dtype in ("float16", "bfloat16", "float32") if dtype in target.compute]
    size = st.integers(1, 40)

    def made(into, out, positions, turns, taps, share, is_sparse, dtype):
        weights = into * out * taps
        nonzeros = max(1, round(share * weights)) if is_sparse else weights
        numbers = arrays([(nonzeros, weights, into, out, positions, min(turns, positions))])
        return LocalProduct(*numbers, taps=taps, is_sparse=is_sparse, dtype=dtype)

    return st.builds(
        made,
        *(size, size, st.integers(1, 200), st.integers(1, 4), st.sampled_from([1, 3, 9])),
        st.floats(0.01, 1),
        st.booleans(),
        st.sampled_from(dtypes),
    )


@QUICK
@given(st.sampled_from(TARGETS).flatmap(lambda t: st.tuples(st.just(t), products(t))))
def test_no_product_beats_its_arithmetic(pair):
    """A multiply-add for each non-zero and position, at the peak of vectors or of a matrix unit."""
    target, of = pair
    (found,) = local_product.cycles(target, of)
    macs = of.nonzeros[0] * of.positions[0]
    assert found >= macs / target.arithmetic(of.dtype).macs_per_cycle - 1e-9


@QUICK
@given(
    st.sampled_from(TARGETS).flatmap(lambda t: st.tuples(st.just(t), products(t))),
    st.integers(1, 50),
)
def test_a_product_with_more_to_do_never_takes_less(pair, more):
    target, of = pair
    base = local_product.cycles(target, of)[0]
    longer = replace(of, positions=of.positions + more)
    assert local_product.cycles(target, longer)[0] >= base or _is_aligned_better(target, of)
    if of.is_sparse:
        denser = replace(of, nonzeros=np.minimum(of.nonzeros + more, of.weights))
        assert local_product.cycles(target, denser)[0] >= base


def _is_aligned_better(target: Target, of: LocalProduct) -> bool:
    """A column of a matrix may begin within a word: 16 halves take fewer groups than 15."""
    return not target.software.triggered and not of.is_sparse


@QUICK
@given(st.sampled_from(TARGETS).flatmap(lambda t: st.tuples(st.just(t), products(t), products(t))))
def test_many_products_at_once_cost_what_each_costs_alone(three):
    target, one, other = three
    other = replace(other, taps=one.taps, is_sparse=one.is_sparse, dtype=one.dtype)
    names = [f.name for f in fields(one) if f.name not in ("taps", "is_sparse", "dtype")]
    both = {name: np.concatenate([getattr(p, name) for p in (one, other)]) for name in names}
    together = local_product.cycles(target, replace(one, **both))
    alone = [local_product.cycles(target, p)[0] for p in (one, other)]
    assert together.tolist() == alone


@QUICK
@given(st.sampled_from(TARGETS), st.sampled_from(["float16", "float32"]), st.integers(0, 900))
def test_no_pass_is_faster_than_the_ports(target, dtype, elements):
    """Two operands are read and one is written; and at most so many elements in a cycle."""
    if dtype not in target.compute:
        return
    size = 4 if dtype == "float32" else 2
    found = float(instruction.pass_cycles(target, dtype, np.array([elements]))[0])
    assert found >= elements / target.arithmetic(dtype).elements_per_cycle
    assert found >= 2 * elements * size / target.sram.read_bytes_per_cycle
    assert found >= elements * size / target.sram.write_bytes_per_cycle
    more = float(instruction.pass_cycles(target, dtype, np.array([elements + 1]))[0])
    assert more >= found
    groups = float(np.asarray(instruction.column_groups(target, dtype, elements)))
    assert groups * max(1, int(target.arithmetic(dtype).macs_per_cycle)) >= elements


@QUICK
@given(st.integers(0, 5000), st.integers(1, 60), st.integers(1, 20), st.floats(0, 5000))
def test_no_exchange_is_faster_than_its_link(size, pes, repeats, compute):
    of, larger = (exchange.message(WSE3, bytes_) for bytes_ in (size, size + 64))
    shift = exchange.shift_cycles(WSE3, of, np.array([pes]), np.array([repeats]))[0]
    assert shift >= repeats * 2 * of.words
    assert shift <= exchange.shift_cycles(WSE3, larger, np.array([pes]), np.array([repeats]))[0]
    assert shift <= exchange.shift_cycles(WSE3, of, np.array([pes + 1]), np.array([repeats]))[0]
    overlapped = float(exchange.overlapped_cycles(compute, of, larger))
    assert overlapped >= max(compute, float(larger.words))
    blocking = float(exchange.blocking_cycles(WSE3, of))
    assert blocking >= 2 * of.words
    ringed = ring.ring_cycles(WSE3, np.array([pes, pes + 1]), of, larger, compute)
    assert pes * overlapped <= ringed[0] <= ringed[1]


@QUICK
@given(st.integers(2, 200), st.integers(1, 14), st.integers(1, 14), st.integers(1, 14))
def test_summa_is_bound_by_links_and_arithmetic(pes, m, k, n):
    def found(*sizes: int) -> float:
        return float(summa.summa_cycles(WSE3, *map(np.array, sizes), "float16", 2))

    cycles = found(pes, m, k, n)
    assert cycles >= pes * m * k * n / WSE3.arithmetic("float16").macs_per_cycle
    assert cycles >= pes * (max(m * k, k * n) * 2 // 4)
    for axis in range(4):
        larger = [size + (axis == at) for at, size in enumerate((pes, m, k, n))]
        assert found(*larger) >= cycles


SPLITS = st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 12))
ALGORITHMS = (MULTICAST, ALL_REDUCE, RING, SUMMA)


def _site(target: Target, splits: list[tuple[int, int, int]], algorithm: int) -> Site:
    if algorithm in (RING, SUMMA):
        splits = [(pes + 1,) * 3 for pes, *_ in splits]
    if algorithm == ALL_REDUCE:
        splits = [(into, 1, out) for into, _, out in splits]
    return Site(target, Tilings.in_blocks(*arrays(splits), algorithm), Roles({}, {}), {}, {})


def _contraction(sizes: tuple[int, ...], density: float = 1.0) -> Contraction:
    into, out, positions = sizes
    weights = WeightTiles(out, into, 1, density=density)
    return Contraction(weights, positions, positions, 0, "float16", 2)


SIZES = st.tuples(st.integers(12, 300), st.integers(12, 300), st.integers(12, 200))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", ProductKind)
@QUICK
@given(sizes=SIZES, splits=st.lists(SPLITS, min_size=1, max_size=4), written=st.booleans())
def test_a_product_on_many_tilings_costs_what_it_costs_on_each(
    kind, algorithm, sizes, splits, written
):
    target = WRITTEN if written else WSE3
    part = ProductPart(kind, _contraction(sizes))
    together = price(_site(target, splits, algorithm), part)
    for number, split in enumerate(splits):
        alone = price(_site(target, [split], algorithm), part)
        assert alone.compute[0] == together.compute[number]
        assert alone.network[0] == together.network[number]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", ProductKind)
@QUICK
@given(sizes=SIZES, split=SPLITS, written=st.booleans(), axis=st.integers(0, 2))
def test_a_product_twice_as_large_never_takes_less(kind, algorithm, sizes, split, written, axis):
    target = WRITTEN if written else WSE3
    place = _site(target, [split], algorithm)
    larger = tuple(size * (1 + (axis == at)) for at, size in enumerate(sizes))
    one, other = (price(place, ProductPart(kind, _contraction(s))) for s in (sizes, larger))
    cycles = [float((cost.compute + cost.network)[0]) for cost in (one, other)]
    assert cycles[0] <= cycles[1]
    macs = np.prod(sizes) / (place.tilings.height * place.tilings.width)[0]
    assert cycles[0] >= macs / target.arithmetic("float16").macs_per_cycle - 1
