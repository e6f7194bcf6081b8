"""The directory of a sweep: what it is, and one line of JSON a point, appended as it is done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...backend.errors import UserError
from ...backend.version import VERSION
from ...compiler.plan.atomic_output import staged_file
from ...compiler.recipes.recipe import Recipe

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True)
class Sweep:
    """What tells one sweep from another: its recipe, its axes as given, how points are chosen."""

    recipe: str
    axes: tuple[str, ...]
    points: str
    samples: int
    weft: str = VERSION


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 0) of `count`: every `count`-th point."""

    index: int = 0
    count: int = 1

    @property
    def file(self) -> str:
        if self.count == 1:
            return "points.jsonl"
        return f"points-{self.index}-of-{self.count}.jsonl"


WHOLE = Shard()


class SweepLog:
    """The lines of one shard, and those of all others to read."""

    def __init__(self, directory: Path, sweep: Sweep, shard: Shard = WHOLE) -> None:
        """Raises UserError where the directory holds another sweep or something else."""
        self.directory, self._file = directory, directory / shard.file
        if check_claim(directory, sweep):
            directory.mkdir(parents=True, exist_ok=True)
            with staged_file(directory / SWEEP_FILE) as out:
                json.dump(asdict(sweep), out, indent=1)
        _cut_torn_line(self._file)

    def done(self) -> dict[str, dict[str, Any]]:
        """Every point that is done, of all shards, by the hash of its recipe."""
        files = sorted(self.directory.glob("points*.jsonl"))
        return {line["recipe"]: line for file in files for line in _of(file)}

    def append(self, lines: Iterable[dict[str, Any]]) -> None:
        """Write lines whole: after a crash at any moment each is there or is not."""
        text = "".join(json.dumps(line) + "\n" for line in lines).encode()
        with self._file.open("ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def recipe_hash(recipe: Recipe) -> str:
    """Of the whole recipe with its defaults: equal settings have equal hashes."""
    text = json.dumps(recipe.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_claim(directory: Path, sweep: Sweep) -> bool:
    """True for a directory that nothing is in. Raises UserError for one that holds another sweep
    or something else."""
    file = directory / SWEEP_FILE
    if directory.exists() and not file.is_file() and any(directory.glob("[!.]*")):
        raise _taken(directory, "a folder with other files")
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            raise _taken(directory, f"a damaged {SWEEP_FILE}") from None
        own = json.loads(json.dumps(asdict(sweep)))
        other = [key for key in own if found.get(key) != own[key]]
        if other:
            name = other[0]
            raise _taken(directory, f"one of {name} {found.get(name)}, not {own[name]}")
    return not file.is_file()


def _taken(directory: Path, got: str) -> UserError:
    return UserError(
        f"directory {directory}",
        expected="an empty one, or one of this very sweep, which goes on",
        got=got,
        change="choose another with -o, or give what the sweep began with",
    )


def _of(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _cut_torn_line(file: Path) -> None:
    """A line that a crash left unfinished is not one."""
    if file.is_file():
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(file, whole)
