"""Random contest instances from a seed, and a judge of their solutions, tile by tile.

    PYTHONPATH=tests python -m helpers.judge.contest 0 1000     judges instances 0 to 999

The judge works on the drawn numbers and on the text of a solution, with the rules as they are
published and nothing of weft.
"""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

from weft.backend.errors import InfeasibleError, UserError
from weft.compiler.place.contest import bounds, place_instance, read_instance, solution_text
from weft.study.contest_score import score

from .tally import tally

ORDER = {"conv": "HWCKRSTU", "dblock": "HWF", "cblock": "HWF"}
Parts = list[tuple[int, int, int, int, int, int, int]]


@dataclass(frozen=True)
class Drawn:
    """An instance: parameters, nodes as (type, sizes, name), and pairs of them."""

    header: Mapping[str, float]
    nodes: tuple[tuple[str, Mapping[str, int], str], ...]
    edges: tuple[tuple[int, int], ...]
    text: str


def drawn(seed: int) -> Drawn:
    """One to seven kernels on a wafer of any form, often too small or with too little memory."""
    rng = random.Random(f"contest {seed}")
    header = {
        "width": rng.randint(4, rng.choice((20, 60, 120))),
        "height": rng.randint(4, rng.choice((20, 60, 120))),
        "wdeltat": rng.choice((0, 1, 1, 1, 2.5)),
        "wlength": rng.choice((0, 1, 10, 0.5)),
        "wadapter": rng.choice((0, 0, 100)),
        "memlimit": rng.choice((40, 300, 24576)),
    }
    nodes = tuple(_node(rng, number) for number in range(rng.randint(1, 7)))
    every = [(a, b) for b in range(len(nodes)) for a in range(b)]
    edges = tuple(pair for pair in every if rng.random() < (0.9 if pair[1] - pair[0] == 1 else 0.2))
    edges += edges[:1] if rng.random() < 0.1 else ()
    return Drawn(header, nodes, edges, _text(rng, header, nodes, edges))


def _node(rng: random.Random, number: int) -> tuple[str, Mapping[str, int], str]:
    kind = rng.choice(("conv", "dblock", "cblock"))
    size, channels = (lambda: rng.randint(2, 12)), (lambda: rng.randint(4, 24))
    if kind != "conv":
        return kind, {"H": size(), "W": size(), "F": channels()}, f"k{number}"
    sizes = {"H": size(), "W": size(), "C": channels(), "K": channels()}
    taps, stride = rng.randint(1, 3), rng.randint(1, 3)
    sizes |= {"R": taps, "S": rng.randint(1, 3), "T": stride, "U": stride}
    return kind, sizes, rng.choice((f"k{number}", f"layer.{number}-a"))


def _text(rng: random.Random, header: Mapping, nodes: tuple, edges: tuple) -> str:
    """With the spaces, capitals and orders that files may have."""
    gap, blank = rng.choice(("", " ")), rng.choice(("", " "))
    lines = ["(*", "test=drawn", *(f"{key}={value}" for key, value in header.items()), "*)", ""]
    if rng.random() < 0.5:
        lines += [f"input[{blank}90] n=[ 3 3 2 ] name='in'", "(* nodes", "follow *)"]
    for number, (kind, sizes, name) in enumerate(nodes):
        keys = list(sizes)
        rng.shuffle(keys)
        if kind == "conv" and rng.random() < 0.3:
            keys.remove("U")
        given = [f"{rng.choice((key, key.lower()))}{gap}={gap}{sizes[key]}" for key in keys]
        given.insert(rng.randint(0, len(given)), f"name{gap}={gap}'{name}'")
        lines.append(f"{kind}[{blank}{number}] {' '.join(given)}")
    if "90]" in "".join(lines):
        lines.append(f"input[{blank}90]:_ -> {nodes[0][0]}[0]:x, shape:[3][3][2]")
    arrow = rng.choice((" -> ", "\t->\t", "->"))
    for a, b in edges:
        shape = rng.choice((", shape:[1]", ",shape:[2][2]", ""))
        lines.append(f"{nodes[a][0]}[{blank}{a}]:y{arrow}{nodes[b][0]}[{b}]:x{shape}")
    return rng.choice(("\n", "\r\n")).join(lines) + "\n"


def parts_of(kind: str, sizes: Mapping[str, int]) -> Parts:
    """H, W, R, S, C, K, T of the convolutions of a kernel."""
    if kind == "conv":
        return [tuple(sizes[key] for key in "HWRSCKT")]  # type: ignore[list-item]
    H, W, F = sizes["H"], sizes["W"], sizes["F"]
    if kind == "dblock":
        return [(H, W, 1, 1, F, F // 4, 1), (H, W, 3, 3, F // 4, F // 4, 1),
                (H, W, 1, 1, F // 4, F, 1)]  # fmt: skip
    return [(H, W, 1, 1, F // 2, F // 4, 1), (H, W, 3, 3, F // 4, F // 4, 2),
            (H // 2, W // 2, 1, 1, F // 4, F, 1), (H, W, 1, 1, F // 2, F, 2)]  # fmt: skip


def kernel_of(
    parts: Parts, h: int, w: int, c: list[int], k: list[int]
) -> tuple[int, int, Fraction, int]:
    """Width, height, time and memory per tile."""
    times, memories = [], []
    for (H, W, R, S, C, K, T), own_c, own_k in zip(parts, c, k, strict=True):
        passes = ceil(H / h) * ceil(W / w) * ceil(C / own_c) * ceil(K / own_k)
        times.append(Fraction(passes * R * S, T * T))
        weights = Fraction(C * K * R * S, own_c * own_k)
        memories.append(floor(weights + Fraction((W + S - 1) * (H + R - 1) * K, w * h * own_k)))
    return 3 * sum(k), h * w * (max(c) + 1), max(times), max(memories)


@dataclass(frozen=True)
class Verdict:
    """The three counts and their sum, and the rules that are broken."""

    time: Fraction
    distance: Fraction
    adapters: int
    total: float
    faults: tuple[str, ...]


def judged(instance: Drawn, solution: str) -> Verdict:
    """A solution in the contest's own form, counted tile by tile."""
    chosen, where = {}, {}
    for line in solution.splitlines():
        if "=" in line:
            name, _, rest = line.partition(" = ")
            kind, _, numbers = rest.strip(") ").partition("(")
            chosen[name] = kind, list(map(int, numbers.split()))
        elif line.strip():
            name, _, rest = line.partition(" : place(")
            x, y, turn = rest.strip(") ").split()
            where[name] = int(x), int(y), turn == "R90"
    faults: list[str] = []
    owner: dict[tuple[int, int], str] = {}
    centres, shown, slowest = [], [], Fraction(0)
    for kind, sizes, name in instance.nodes:
        count = len(ORDER[kind])
        given, numbers = chosen[name]
        formal, (h, w, *split) = numbers[:count], numbers[count:]
        parts = parts_of(kind, sizes)
        c, k = split[: len(parts)], split[len(parts) :]
        if given != kind or formal != [sizes[key] for key in ORDER[kind]]:
            faults.append(f"{name} is another kernel")
        if len(k) != len(parts) or not _in_range(parts, h, w, c, k):
            faults.append(f"arguments of {name} are out of range")
            continue
        width, height, took, memory = kernel_of(parts, h, w, c, k)
        if memory > instance.header["memlimit"]:
            faults.append(f"{name} holds {memory}")
        x, y, turned = where[name]
        width, height = (height, width) if turned else (width, height)
        for tile in ((a, b) for a in range(x, x + width) for b in range(y, y + height)):
            if not (
                0 <= tile[0] < instance.header["width"] and 0 <= tile[1] < instance.header["height"]
            ):
                faults.append(f"{name} leaves the wafer at {tile}")
                break
            if owner.setdefault(tile, name) != name:
                faults.append(f"{name} lies on {owner[tile]} at {tile}")
                break
        centres.append((Fraction(2 * x + width, 2), Fraction(2 * y + height, 2)))
        shown.append((h, w, c[0], k[-1]))
        slowest = max(slowest, took)
    if faults:
        return Verdict(slowest, Fraction(0), 0, 0.0, tuple(faults))
    distance, adapters = Fraction(0), 0
    for a, b in instance.edges:
        distance += abs(centres[a][0] - centres[b][0]) + abs(centres[a][1] - centres[b][1])
        adapters += sum(
            one != other for one, other in zip((*shown[a][:2], shown[a][3]), shown[b], strict=False)
        )
    weights = (instance.header[key] for key in ("wdeltat", "wlength", "wadapter"))
    counts = float(slowest), float(distance), adapters
    total = sum(weight * count for weight, count in zip(weights, counts, strict=True))
    return Verdict(slowest, distance, adapters, total, ())


def _in_range(parts: Parts, h: int, w: int, c: list[int], k: list[int]) -> bool:
    return all(
        1 <= h <= H and 1 <= w <= W and 1 <= own_c <= C and 1 <= own_k <= K
        for (H, W, _, _, C, K, _), own_c, own_k in zip(parts, c, k, strict=True)
    )


def least_areas(instance: Drawn) -> list[int | None]:
    """The fewest tiles that each kernel can do with on the wafer and in its memory, over all
    arguments; None where there are none."""
    return [_least_area(instance, parts_of(kind, sizes)) for kind, sizes, _ in instance.nodes]


def _least_area(instance: Drawn, parts: Parts) -> int | None:
    columns, rows, limit = (instance.header[key] for key in ("width", "height", "memlimit"))
    found = []
    for h in range(1, min(part[0] for part in parts) + 1):
        for w in range(1, min(part[1] for part in parts) + 1):
            for most in range(1, max(part[4] for part in parts) + 1):
                c = [min(most, part[4]) for part in parts]
                k = [_least_k(part, h, w, own, limit) for part, own in zip(parts, c, strict=True)]
                height, width = h * w * (max(c) + 1), 3 * sum(k)
                fits = (width <= columns and height <= rows) or (
                    height <= columns and width <= rows
                )
                if min(k) and fits:
                    found.append(width * height)
    return min(found, default=None)


def _least_k(part: tuple[int, ...], h: int, w: int, c: int, limit: float) -> int:
    """The fewest parts of the outputs with which a convolution fits the memory; 0 if none do."""
    for k in range(1, part[5] + 1):
        if kernel_of([part], h, w, [c], [k])[3] <= limit:  # type: ignore[list-item]
            return k
    return 0


def broken(rng: random.Random, solution: str) -> str:
    """The solution with one number changed, or a kernel turned or moved."""
    lines = solution.splitlines()
    at = rng.randrange(len(lines))
    head, _, tail = lines[at].partition("(")
    words = tail.rstrip(")").split()
    number = rng.randrange(len(words))
    if words[number] in ("R0", "R90"):
        words[number] = "R90" if words[number] == "R0" else "R0"
    else:
        words[number] = str(int(words[number]) + rng.choice((-3, -1, 1, 2)))
    lines[at] = f"{head}({' '.join(words)})"
    return "\n".join(lines) + "\n"


SEARCHED = 5
"""Of so many instances one is searched; of the others the best start is taken."""


def outcome(seed: int, folder: Path) -> tuple[str, list[str]]:
    """How an instance ended, and what is wrong with that."""
    instance, path = drawn(seed), folder / "drawn.kgraph"
    path.write_bytes(instance.text.encode())
    read = read_instance(path)
    try:
        limit = {"rounds": 1} if seed % SEARCHED == 0 else {"seconds": 0}
        text = solution_text(read, place_instance(read, **limit, seed=seed))
    except InfeasibleError as error:
        return _refused(instance, error)
    return "placed", [*_wrong(instance, path, read, text), *_broken(seed, instance, path, text)]


def _refused(instance: Drawn, error: InfeasibleError) -> tuple[str, list[str]]:
    """Refusals say the least areas, and that they do not fit only where that is so."""
    areas = least_areas(instance)
    found = []
    for (kind, _, name), area in zip(instance.nodes, areas, strict=True):
        said = "no shape fits the wafer and memlimit" if area is None else f"{area:,} tiles"
        if f"  {name} ({kind}): {said}" not in error.report.splitlines():
            found.append(f"{name}: {said}, the report says otherwise: {error.report}")
    tiles = instance.header["width"] * instance.header["height"]
    is_too_large = None in areas or sum(area or 0 for area in areas) > tiles
    if is_too_large != ("at most" in error.expected):
        found.append(f"{areas} of {tiles} tiles: {error.expected}")
    return "too large" if is_too_large else "nothing found", found


def _wrong(instance: Drawn, path: Path, read: object, text: str) -> Iterator[str]:
    """A solution of the placer against the judge, the evaluator and the bounds."""
    verdict, written = judged(instance, text), path.with_suffix(".solution")
    yield from verdict.faults
    written.write_text(text)
    scored, least = score(path, written), bounds(read)  # type: ignore[arg-type]
    given = scored.time, scored.distance, scored.adapters
    if given != (float(verdict.time), float(verdict.distance), verdict.adapters):
        yield f"scored {given}, judged {verdict}"
    if abs(scored.total - verdict.total) > 1e-9 * verdict.total:
        yield f"scored {scored.total}, judged {verdict.total}"
    if least.time > verdict.time or least.total > verdict.total * (1 + 1e-12):
        yield f"bounds {least}, judged {verdict}"


def _broken(seed: int, instance: Drawn, path: Path, text: str) -> Iterator[str]:
    """The evaluator refuses what the judge finds broken, and nothing else."""
    rng, written = random.Random(f"broken {seed}"), path.with_suffix(".solution")
    for _ in range(4):
        changed = broken(rng, text)
        verdict = judged(instance, changed)
        written.write_text(changed)
        try:
            scored = score(path, written)
        except UserError as error:
            if not verdict.faults:
                yield f"{error} for a sound solution\n{changed}"
            continue
        if verdict.faults or abs(scored.total - verdict.total) > 1e-9 * verdict.total:
            yield f"scored {scored.total}, judged {verdict}\n{changed}"


def _outcome_or_traceback(seed: int, folder: Path) -> tuple[str, Sequence[str]]:
    try:
        return outcome(seed, folder)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return "a traceback", traceback.format_exc().splitlines()[-1:]


if __name__ == "__main__":
    sys.exit(tally(_outcome_or_traceback))
