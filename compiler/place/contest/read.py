"""Reading .kgraph files: every line is understood, or named with what was expected there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from ....backend.errors import UserError
from .instance import FORMAL, ContestKernel, Instance

_NODE = re.compile(r"(\w+)\s*\[\s*(\d+)\s*\](.*)")
_EDGE = re.compile(r"(\w+)\s*\[\s*(\d+)\s*\]\s*:\s*\w+\s*->\s*(\w+)\s*\[\s*(\d+)\s*\]\s*:\s*\w+")
_NAME = re.compile(r"name\s*=\s*'([^']+)'")
_NUMBER = re.compile(r"(\w+)\s*=\s*(\d+)\b")
_COMMENT = re.compile(r"\(\*(.*?)\*\)", re.S)
_SIZES = ("width", "height", "memlimit")
_WEIGHTS = ("wdeltat", "wlength", "wadapter")
_ENDS = ("input", "output")


def read_instance(path: Path) -> Instance:
    """The instance in a file.

    Raises UserError with file and line for what is missing, unknown, or does not fit together.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}", expected="a .kgraph file", got=str(error), change="give another file"
        ) from None
    header = _header(path, text)
    kernels: list[ContestKernel] = []
    number: dict[int, int] = {}
    kinds: dict[int, str] = {}
    edges: list[tuple[int, int]] = []
    for line, content in _lines(text):
        if "->" in content:
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
            kernels.append(_kernel(path, line, kind, index, rest))
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


def _header(path: Path, text: str) -> Mapping[str, float]:
    first = _COMMENT.search(text)
    if first is None:
        _wrong(path, 1, "a comment (* key=value ... *) with the parameters", "none")
    line = text[: first.start()].count("\n") + 1
    found: dict[str, float] = {}
    for offset, content in enumerate(first[1].splitlines()):
        key, equals, value = content.strip().partition("=")
        if not equals or key.strip() not in _SIZES + _WEIGHTS:
            continue
        try:
            found[key.strip()] = float(value)
        except ValueError:
            _wrong(path, line + offset, f"{key.strip()}=number", f"'{value}'")
    for key in _SIZES + _WEIGHTS:
        least = 1 if key in _SIZES else 0
        if key not in found:
            _wrong(path, line, f"{key}=number in the first comment", f"keys {', '.join(found)}")
        if not found[key] >= least:
            _wrong(path, line, f"{key} of at least {least}", f"{found[key]:g}")
    return found


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
    name = _NAME.search(rest)
    if name is None:
        _wrong(path, line, "name='...'", f"'{rest.strip()}'")
    given = {key.upper(): int(value) for key, value in _NUMBER.findall(_NAME.sub("", rest))}
    if kind == "conv" and "T" in given:
        given.setdefault("U", given["T"])
    for key in FORMAL[kind]:
        if key not in given:
            _wrong(path, line, f"{key}=number for {kind}[{index}]", f"'{rest.strip()}'")
        if given[key] < 1:
            _wrong(path, line, f"{key} of at least 1", str(given[key]))
    if kind != "conv" and given["F"] < 4:
        _wrong(path, line, "F of at least 4", str(given["F"]))
    if kind == "cblock" and min(given["H"], given["W"]) < 2:
        _wrong(path, line, "H and W of at least 2", f"{given['H']} and {given['W']}")
    return ContestKernel(kind, {key: given[key] for key in FORMAL[kind]}, name[1])


def _edge(path: Path, line: int, content: str, kinds: Mapping[int, str]) -> tuple[int, int]:
    match = _EDGE.match(content)
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
