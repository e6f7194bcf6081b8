"""Seeded damage to text, bytes and plain data: what editors, merges and full disks do to files."""

from __future__ import annotations

import copy
import random
from typing import Any

JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**30, -0.5, 1e400, float("nan"), "", "x", "1e-3", "../../etc"),
    *([], {}, [1], [[]], {"value": 1}, {"x": {"y": []}}, "\x00", "a: b", "é" * 300),
)
SNIPPETS = (
    *(
        "",
        "{",
        "]",
        ":",
        "- ",
        "\t",
        "&a *a",
        "!!python/object:os.system x",
        "<<: *b",
        "|",
        "---\n",
    ),
    *(
        "\x00",
        "%",
        "? ",
        "'",
        '"',
        "{}: {}",
        "[[[[",
        "1e999",
        "0x",
        "~",
        "!!binary x",
        "2020-99-99",
    ),
)


def damaged_text(text: str, rng: random.Random) -> bytes:
    """One to three edits of characters or lines, as bytes that may not be UTF-8."""
    for _ in range(rng.randint(1, 3)):
        text = rng.choice((_cut, _splice, _drop_line, _swap_lines, _repeat_line))(text, rng)
    data = text.encode("utf-8", "surrogatepass")
    return damaged_bytes(data, rng) if rng.random() < 0.2 else data


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """A byte changed, or a piece lost at the end or in the middle."""
    if not data:
        return b"\xff"
    at, kind = rng.randrange(len(data)), rng.randrange(3)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]
    return data[:at] if kind == 1 else data[:at] + data[at + rng.randint(1, 40) :]


def damaged_data(data: Any, rng: random.Random) -> Any:
    """Plain data with one to three places replaced, removed, added to or swapped."""
    data = copy.deepcopy(data)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(data))
        if not places:
            break
        parent, key = rng.choice(places)
        kind = rng.randrange(4)
        if kind == 0 or (kind == 1 and isinstance(parent, list)):
            parent[key] = copy.deepcopy(rng.choice(JUNK))
        elif kind == 1:
            parent[f"{key}{rng.choice(('s', '_', ' '))}"] = parent.pop(key)
        elif kind == 2:
            del parent[key]
        else:
            other, name = rng.choice(places)
            if isinstance(other, dict) and name in other:
                parent[key] = copy.deepcopy(other[name])
    return data


def _places(data: Any) -> Any:
    """(container, key) of every node below the root."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(items):
        yield data, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _splice(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(SNIPPETS) + text[at + rng.randint(0, 3) :]


def _drop_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    del lines[rng.randrange(len(lines))]
    return "".join(lines)


def _swap_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return "".join(lines)


def _repeat_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = rng.randrange(len(lines))
    lines.insert(at, rng.choice(("", "  ", "- ")) + lines[at])
    return "".join(lines)
