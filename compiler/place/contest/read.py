"""Reading .kgraph files: every line is understood, or named with what was expected there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import NoReturn

from ....backend.errors import UserError
from .instance import FORMAL, ContestKernel, Instance

_NODE = re.compile(r"(\w+)\s*\[\s*(\d+)\s*\](.*)")
_END = r"(\w+)\s*\[\s*(\d+)\s*\]\s*:\s*\w+"
_EDGE = re.compile(rf"{_END}\s*->\s*{_END}\s*(?:,.*)?")
_JOINED = re.compile(r"\w+\s*\[[^\]]*\]\s*[^\w\s]|[^']*->")
"""How an edge begins, right or wrong: after its first index comes neither a letter nor nothing."""
_ENTRY = re.compile(r"[\s,]*(\w+)\s*=\s*('[^']*'|\[[^\]]*\]|[^\s,'\[=]+)")
_NAME = re.compile(r"'([^\s()=:>']+)'")
_MARK = re.compile(r"\(\*|\*\)")
_COMMENT = re.compile(r"\(\*(.*?)\*\)", re.S)
_NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?")
_SIZES = ("width", "height", "memlimit")
_WEIGHTS = ("wdeltat", "wlength", "wadapter")
_MOST = {"width": 8_000, "height": 8_000}
"""Rows and columns that curves can count, see packing/curves.py."""
_MOST_FORMAL = 65_536
_UNENDED = "*) for the comment that begins here"
_ENDS = ("input", "output")


def read_instance(path: Path) -> Instance:
    """The instance in a file.

    Raises UserError with file and line for what is missing, unknown, or does not fit together.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}", expected="a .kgraph file", got=str(error), change="give another file"
        ) from None
    _check_comments(path, text)
    header = _header(path, text)
    kernels: list[ContestKernel] = []
    number: dict[int, int] = {}
    kinds: dict[int, str] = {}
    edges: list[tuple[int, int]] = []
    for line, content in _lines(text):
        if _JOINED.match(content):
            source, sink = _edge(path, line, content, kinds)
            if source in number and sink in number:
                edges.append((number[source], number[sink]))
            continue
        kind, index, rest = _node(path, line, content)
        if index in kinds:
            _wrong(path, line, "an index that no node before has", f"{kind}[{index}] again")
        kinds[index] = kind
        if kind not in _ENDS:
            number[index] = len(kernels)
            kernel = _kernel(path, line, kind, index, rest)
            if any(kernel.name == other.name for other in kernels):
                _wrong(path, line, "a name that no kernel before has", f"'{kernel.name}' again")
            kernels.append(kernel)
    if not kernels:
        _wrong(path, text.count("\n") + 1, "at least one conv, dblock or cblock", "none")
    return Instance(
        name=path.stem,
        columns=int(header["width"]),
        rows=int(header["height"]),
        memory_limit=int(header["memlimit"]),
        time_weight=header["wdeltat"],
        wire_weight=header["wlength"],
        adapter_weight=header["wadapter"],
        kernels=tuple(kernels),
        edges=tuple(edges),
    )


def _wrong(path: Path, line: int, expected: str, got: str) -> NoReturn:
    raise UserError(f"{path}:{line}", expected=expected, got=got, change="mend the line")


def _check_comments(path: Path, text: str) -> None:
    """Comments begin and end in turns."""
    opened = 0
    for mark in _MARK.finditer(text):
        line = text[: mark.start()].count("\n") + 1
        if mark[0] == "*)" and not opened:
            _wrong(path, line, "(* before *)", "the end of no comment")
        if mark[0] == "(*" and opened:
            _wrong(path, opened, _UNENDED, f"another (* in line {line}")
        opened = line if mark[0] == "(*" else 0
    if opened:
        _wrong(path, opened, _UNENDED, "the end of the file")


def _header(path: Path, text: str) -> Mapping[str, float]:
    first = _COMMENT.search(text)
    if first is None:
        _wrong(path, 1, "a comment (* key=value ... *) with the parameters", "none")
    line = text[: first.start()].count("\n") + 1
    found: dict[str, float] = {}
    for offset, content in enumerate(first[1].splitlines()):
        key, equals, value = (part.strip() for part in content.partition("="))
        if not equals or key not in _SIZES + _WEIGHTS:
            continue
        if key in found:
            _wrong(path, line + offset, f"{key} once", f"{key}={value} again")
        found[key] = _parameter(path, line + offset, key, value)
    for key in _SIZES + _WEIGHTS:
        if key not in found:
            _wrong(path, line, f"{key}=number in the first comment", f"keys {', '.join(found)}")
    return found


def _parameter(path: Path, line: int, key: str, value: str) -> float:
    """A parameter of the first comment; sizes are whole numbers."""
    if not _NUMBER.fullmatch(value):
        _wrong(path, line, f"{key}=number", f"'{value}'")
    number, least = float(value), 1 if key in _SIZES else 0
    if number < least:
        _wrong(path, line, f"{key} of at least {least}", f"{number:g}")
    if not isfinite(number) or (key in _SIZES and number != int(number)):
        _wrong(path, line, f"{key} as a {'whole' if key in _SIZES else 'finite'} number", value)
    if number > _MOST.get(key, number):
        _wrong(path, line, f"{key} of at most {_MOST[key]:,}", f"{number:,g}")
    return number


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and contents of the lines that say something, comments blanked out."""
    bare = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, content in enumerate(bare.splitlines(), 1):
        if content.strip():
            yield number, content.strip()


def _node(path: Path, line: int, content: str) -> tuple[str, int, str]:
    match = _NODE.fullmatch(content)
    if match is None:
        _wrong(path, line, "TYPE[INDEX] arguments name='...', or an edge", f"'{content}'")
    kind, index, rest = match[1], int(match[2]), match[3]
    if kind not in (*FORMAL, *_ENDS):
        _wrong(path, line, f"one of {', '.join((*FORMAL, *_ENDS))}", f"'{kind}'")
    return kind, index, rest


def _kernel(path: Path, line: int, kind: str, index: int, rest: str) -> ContestKernel:
    entries = _entries(path, line, rest)
    name = _NAME.fullmatch(entries.get("NAME", ""))
    if name is None:
        got = f"name={entries['NAME']}" if "NAME" in entries else f"'{rest.strip()}'"
        _wrong(path, line, "name='...' without spaces and ( ) = : >", got)
    if kind == "conv" and "T" in entries:
        entries.setdefault("U", entries["T"])
    given = {key: _size(path, line, key, entries.get(key), kind, index) for key in FORMAL[kind]}
    if kind != "conv" and given["F"] < 4:
        _wrong(path, line, "F of at least 4", str(given["F"]))
    if kind == "cblock" and min(given["H"], given["W"]) < 2:
        _wrong(path, line, "H and W of at least 2", f"{given['H']} and {given['W']}")
    return ContestKernel(kind, given, name[1])


def _entries(path: Path, line: int, rest: str) -> dict[str, str]:
    """The texts of KEY=VALUE pairs, by key in capitals."""
    found: dict[str, str] = {}
    at = 0
    while match := _ENTRY.match(rest, at):
        key, at = match[1].upper(), match.end()
        if key in found:
            _wrong(path, line, f"{match[1]} once", f"{match[1]}={match[2]} again")
        found[key] = match[2]
    if rest[at:].strip(" \t,"):
        _wrong(path, line, "KEY=VALUE pairs and name='...'", f"'{rest[at:].strip()}'")
    return found


def _size(path: Path, line: int, key: str, value: str | None, kind: str, index: int) -> int:
    """A formal argument of a kernel."""
    if value is None:
        _wrong(path, line, f"{key}=number for {kind}[{index}]", "none")
    if not re.fullmatch(r"-?\d+", value):
        _wrong(path, line, f"{key}=number for {kind}[{index}], whole", f"{key}={value}")
    if not 1 <= int(value) <= _MOST_FORMAL:
        end = "at least 1" if int(value) < 1 else f"at most {_MOST_FORMAL:,}"
        _wrong(path, line, f"{key} of {end}", value)
    return int(value)


def _edge(path: Path, line: int, content: str, kinds: Mapping[int, str]) -> tuple[int, int]:
    match = _EDGE.fullmatch(content)
    if match is None:
        _wrong(path, line, "TYPE[INDEX]:PORT -> TYPE[INDEX]:PORT, shape:...", f"'{content}'")
    for kind, index in ((match[1], match[2]), (match[3], match[4])):
        if kinds.get(int(index)) != kind:
            got = kinds.get(int(index))
            _wrong(
                path, line, f"a node {kind}[{index}] above",
                f"{got}[{index}]" if got else "none with that index",
            )  # fmt: skip
    return int(match[2]), int(match[4])
