"""Regions of a plan as text: a table of their own, and ids where stages use them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ..codec import DataError
from ..document import PlanDocument
from ..stage_record import Rectangle, Region, Tiling
from .tables import fold, records, table, unfold

_PARTS = {"rectangle": Rectangle, "tiling": Tiling}
_NAMES = {part: [f.name for f in dataclasses.fields(kind)] for part, kind in _PARTS.items()}

_OWN = [field for field in dataclasses.fields(Region) if field.name not in _PARTS]
_OF_PARTS = [field for kind in _PARTS.values() for field in dataclasses.fields(kind)]

RegionRow = dataclasses.make_dataclass(
    "RegionRow", [(field.name, field.type) for field in (_OWN[0], *_OF_PARTS, *_OWN[1:])]
)
"""A region as a row: its id, the fields of its rectangle and of its tiling, then its other ones."""


def fold_plan(data: dict[str, Any]) -> dict[str, Any]:
    """Plain data of a plan as plan.yaml has it: flat records as text, `regions` apart."""
    rows: dict[str, dict[str, Any]] = {}
    stages = [
        {**stage, "uses": [_named(use, rows) for use in stage["uses"]]} for stage in data["stages"]
    ]
    folded = fold(PlanDocument, {**data, "stages": stages})
    found: dict[str, Any] = {}
    for name, value in folded.items():
        if name == "stages":
            found["regions"] = table(RegionRow, list(rows.values()))
        found[name] = value
    return found


def unfold_plan(folded: Any) -> Any:
    """Undoes `fold_plan`. Raises DataError with the path of what cannot be read: a table or a line
    that is none, or the id of a region that is unknown, there twice, or not used."""
    path = PlanDocument.__name__
    data = unfold(PlanDocument, folded, path)
    if not isinstance(data, dict) or "regions" not in data:
        return data
    regions, used = _by_id(records(RegionRow, data.pop("regions"), f"{path}.regions"), path), set()
    for where, use in _uses(data, path):
        name = use.get("region")
        if name not in regions:
            raise DataError(f"{where}.region: expected an id of `regions`, got {name!r}")
        use["region"] = regions[name]
        used.add(name)
    if idle := [name for name in regions if name not in used]:
        raise DataError(f"{path}.regions: no stage uses {idle[0]}")
    return data


def _named(use: dict[str, Any], rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The use with its region's id in the region's place; the region goes to `rows`."""
    region = use["region"]
    parts = {**region["rectangle"], **region["tiling"]}
    own = {field.name: region[field.name] for field in _OWN}
    rows[region["id"]] = {"id": region["id"], **parts, **own}
    return {**use, "region": region["id"]}


def _by_id(rows: list[dict[str, Any]], path: str) -> dict[str, dict[str, Any]]:
    names = [field.name for field in dataclasses.fields(RegionRow)]
    found: dict[str, dict[str, Any]] = {}
    for i, row in enumerate(rows):
        if set(row) != set(names):
            wanted, got = " ".join(names), " ".join(row)
            raise DataError(f"{path}.regions[{i}]: expected the fields {wanted}, got {got}")
        if row["id"] in found:
            raise DataError(f"{path}.regions: {row['id']} twice")
        parts = {part: {name: row[name] for name in own} for part, own in _NAMES.items()}
        found[row["id"]] = {**{field.name: row[field.name] for field in _OWN}, **parts}
    return found


def _uses(document: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The uses of all stages with their paths; what is no list of records is left to the codec."""
    stages = document.get("stages")
    for i, stage in enumerate(stages if isinstance(stages, list) else ()):
        uses = stage.get("uses") if isinstance(stage, dict) else None
        for j, use in enumerate(uses if isinstance(uses, list) else ()):
            if isinstance(use, dict):
                yield f"{path}.stages[{i}].uses[{j}]", use
