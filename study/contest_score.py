"""Scores of a placement by the rules of the ISPD 2020 contest, from the two files alone.

Written apart from the placer, whose code it takes nothing from: it reads the texts again, counts
with the formulas as published, and looks for every broken rule before it gives a score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..backend.errors import UserError

ADAPTER_READING = "h, w, and the consumer's first c against the producer's last k"
_FORMAL = {"conv": 8, "dblock": 3, "cblock": 3}
_CONVOLUTIONS = {"conv": 1, "dblock": 3, "cblock": 4}
_ARGUMENTS = re.compile(r"(\S+)\s*=\s*(\w+)\s*\(([^()]*)\)")
_PLACE = re.compile(r"(\S+)\s*:\s*place\s*\(\s*(-?\d+)\s+(-?\d+)\s+(R0|R90)\s*\)")


@dataclass(frozen=True)
class PlacedRectangle:
    """A placed kernel: name, lower left corner, size as it lies, time and memory per tile."""

    name: str
    x: int
    y: int
    width: int
    height: int
    time: Fraction
    memory: int
    shown: tuple[int, int, int, int]  # h, w, c to its producers, k to its consumers


@dataclass(frozen=True)
class ContestScore:
    """The contest's three counts and their weighted sum."""

    time: float
    distance: float
    adapters: int
    total: float
    rectangles: tuple[PlacedRectangle, ...]
    connections: tuple[tuple[int, int], ...]
    columns: int
    rows: int


def score(instance: Path, solution: Path) -> ContestScore:
    """The score of a solution file.

    Raises UserError for a solution that breaks a rule, with the kernels and numbers.
    """
    header, nodes, links = _instance(_text(instance))
    names = [name for _, _, name in nodes]
    rectangles = _solution(_text(solution), solution, nodes)
    _check(solution, header, rectangles)
    centre = [(2 * r.x + r.width, 2 * r.y + r.height) for r in rectangles]
    distance = sum(abs(centre[a][k] - centre[b][k]) for a, b in links for k in (0, 1)) / 2
    adapters = 0
    for a, b in links:
        (h, w, _, k), (h2, w2, c2, _) = rectangles[a].shown, rectangles[b].shown
        adapters += (h != h2) + (w != w2) + (k != c2)
    time = float(max(rectangle.time for rectangle in rectangles))
    total = header["wdeltat"] * time + header["wlength"] * distance + header["wadapter"] * adapters
    assert len(names) == len(rectangles)
    size = int(header["width"]), int(header["height"])
    return ContestScore(time, distance, adapters, total, tuple(rectangles), tuple(links), *size)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}", expected="a readable text file", got=str(error), change="give another file"
        ) from None


def _instance(text: str) -> tuple[dict[str, float], list[tuple[str, dict[str, int], str]], list]:
    comments = re.findall(r"\(\*(.*?)\*\)", text, re.S)
    header = {
        key: float(value)
        for key, value in re.findall(r"(\w+)\s*=\s*([-+.\deE]*\d[.]?)\s*$", comments[0], re.M)
    }
    bare = re.sub(r"\(\*.*?\*\)", "", text, flags=re.S)
    nodes, numbers, links = [], {}, []
    for line in bare.splitlines():
        ends = re.findall(r"(\w+)\s*\[\s*(\d+)\s*\]\s*:", line)
        if "->" in line.partition("'")[0]:
            pair = [numbers.get(int(index)) for _, index in ends[:2]]
            if None not in pair:
                links.append((pair[0], pair[1]))
            continue
        head = re.match(r"\s*(\w+)\s*\[\s*(\d+)\s*\]", line)
        if head is None or head[1] in ("input", "output"):
            continue
        name = re.search(r"name\s*=\s*'([^']*)'", line, re.I)
        given = re.findall(r"(\w+)\s*=\s*(\d+)", re.sub(r"'[^']*'", "", line))
        formal = {key.upper(): int(value) for key, value in given}
        numbers[int(head[2])] = len(nodes)
        nodes.append((head[1], formal, name[1] if name else ""))
    return header, nodes, links


def _solution(text: str, path: Path, nodes: list) -> list[PlacedRectangle]:
    chosen: dict[str, tuple[str, list[int], int]] = {}
    where: dict[str, tuple[int, int, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if match := _ARGUMENTS.fullmatch(line.strip()):
            values = match[3].split()
            if not all(value.isdigit() for value in values):
                _broken(f"{path}:{number}", "whole numbers as arguments", f"'{match[3]}'")
            _once(f"{path}:{number}", match[1], nodes, chosen)
            chosen[match[1]] = match[2], [int(value) for value in values], number
        elif match := _PLACE.fullmatch(line.strip()):
            _once(f"{path}:{number}", match[1], nodes, where)
            where[match[1]] = int(match[2]), int(match[3]), match[4]
        else:
            _broken(
                f"{path}:{number}", "NAME = TYPE(numbers) or NAME : place(X Y R0|R90)",
                f"'{line.strip()}'",
            )  # fmt: skip
    return [_rectangle(path, node, chosen, where) for node in nodes]


def _once(where: str, name: str, nodes: list, before: dict) -> None:
    """Every line is of a kernel that the instance has, and the first of its kind."""
    if name not in [known for _, _, known in nodes]:
        _broken(where, "a kernel of the instance", name)
    if name in before:
        _broken(where, f"one such line for {name}", "a second one")


def _rectangle(path: Path, node: tuple, chosen: dict, where: dict) -> PlacedRectangle:
    kind, formal, name = node
    if name not in chosen or name not in where:
        missing = "arguments" if name not in chosen else "place"
        _broken(f"{path}", f"arguments and place of {name}", f"no {missing}")
    given, values, number = chosen[name]
    parts = _CONVOLUTIONS[kind]
    if given != kind or len(values) != _FORMAL[kind] + 2 + 2 * parts:
        _broken(
            f"{path}:{number}", f"{kind} with {_FORMAL[kind] + 2 + 2 * parts} numbers",
            f"{given} with {len(values)}",
        )  # fmt: skip
    order = ("H", "W", "C", "K", "R", "S", "T", "U") if kind == "conv" else ("H", "W", "F")
    expected = [formal.get(key, formal.get("T", 0)) for key in order]
    if values[: len(order)] != expected:
        _broken(f"{path}:{number}", f"formal arguments {expected}", str(values[: len(order)]))
    h, w, *split = values[len(order) :]
    cs, ks = split[:parts], split[parts:]
    height = width = memory = 0
    time = Fraction(0)
    for (H, W, R, S, C, K, T), c, k in zip(_parts(kind, formal), cs, ks, strict=True):
        for what, value, most in (("h", h, H), ("w", w, W), ("c", c, C), ("k", k, K)):
            if not 1 <= value <= most:
                _broken(f"{path}:{number}", f"{what} of {name} from 1 to {most}", str(value))
        height, width = max(height, h * w * (c + 1)), width + 3 * k
        steps = math.ceil(H / h) * math.ceil(W / w) * math.ceil(C / c) * math.ceil(K / k)
        time = max(time, Fraction(steps * R * S, T * T))
        weights = Fraction(C, c) * Fraction(K, k) * R * S
        pixels = Fraction(W + S - 1, w) * Fraction(H + R - 1, h) * Fraction(K, k)
        memory = max(memory, math.floor(weights + pixels))
    x, y, turn = where[name]
    size = (width, height) if turn == "R0" else (height, width)
    return PlacedRectangle(name, x, y, *size, time, memory, (h, w, cs[0], ks[-1]))


def _parts(kind: str, f: dict[str, int]) -> Iterator[tuple[int, ...]]:
    """H, W, R, S, C, K, T of the convolutions of a kernel."""
    if kind == "conv":
        yield f["H"], f["W"], f["R"], f["S"], f["C"], f["K"], f["T"]
        return
    H, W, F = f["H"], f["W"], f["F"]
    if kind == "dblock":
        yield H, W, 1, 1, F, F // 4, 1
        yield H, W, 3, 3, F // 4, F // 4, 1
        yield H, W, 1, 1, F // 4, F, 1
    else:
        yield H, W, 1, 1, F // 2, F // 4, 1
        yield H, W, 3, 3, F // 4, F // 4, 2
        yield H // 2, W // 2, 1, 1, F // 4, F, 1
        yield H, W, 1, 1, F // 2, F, 2


def _check(path: Path, header: dict[str, float], rectangles: list[PlacedRectangle]) -> None:
    columns, rows, memory = (int(header[key]) for key in ("width", "height", "memlimit"))
    for one in rectangles:
        if one.x < 0 or one.y < 0 or one.x + one.width > columns or one.y + one.height > rows:
            _broken(f"{path}", f"{one.name} inside {columns} x {rows} tiles", _where(one))
        if one.memory > memory:
            _broken(f"{path}", f"at most {memory:,} words per tile", f"{one.name}: {one.memory:,}")
    for number, one in enumerate(rectangles):
        for other in rectangles[:number]:
            apart = (
                one.x + one.width <= other.x
                or other.x + other.width <= one.x
                or one.y + one.height <= other.y
                or other.y + other.height <= one.y
            )
            if not apart:
                _broken(f"{path}", "no overlap", f"{_where(other)} and {_where(one)}")


def _where(one: PlacedRectangle) -> str:
    return f"{one.name}: {one.width} x {one.height} at ({one.x}, {one.y})"


def _broken(where: str, expected: str, got: str) -> None:
    raise UserError(where, expected=expected, got=got, change="give a solution of this instance")
