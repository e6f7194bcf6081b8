"""Where the stages of a plan lie and what their PEs hold, tile by tile, from the plan's records.

Nothing of weft is used here: a plan and a machine are plain data, as their files hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Data = Mapping[str, Any]
Tile = tuple[int, int, int]
"""Wafer, row of its fabric, column."""

_CLASSES = ("weights", "optimizer", "gradient", "activation_fifo", "workspace", "normalization",
            "stream_buffer", "skip_fifo")  # fmt: skip
ITEM_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8}


def constants(machine: Data, path: str = "") -> dict[str, Any]:
    """The constants of a target's file by dotted name."""
    found: dict[str, Any] = {}
    for name, entry in machine.items():
        if isinstance(entry, Mapping) and "value" in entry:
            found[path + name] = entry["value"]
        elif isinstance(entry, Mapping):
            found |= constants(entry, f"{path}{name}.")
    return found


def dead_tiles(known: Data) -> set[tuple[int, int]]:
    """Row of the fabric and column of every core that does not work, or not fast enough."""
    dead, slow = known.get("defects.dead_cores", ()), known.get("defects.slow_cores", ())
    least = known.get("defects.least_speed_percent", 1)
    found = {(dead[n], dead[n + 1]) for n in range(0, len(dead), 2)}
    return found | {(slow[n], slow[n + 1]) for n in range(0, len(slow), 3) if slow[n + 2] < least}


def rows_left(known: Data) -> list[int]:
    """Rows of the fabric behind those that a program sees: of the grid's and the spare ones, the
    first that have no dead core, as many as the grid has."""
    broken = {row for row, _ in dead_tiles(known)}
    every = known["grid.rows"] + known.get("defects.spare_rows", 0)
    return [row for row in range(every) if row not in broken][: known["grid.rows"]]


def regions_of(plan: Data) -> dict[str, list[int]]:
    """The stages on each region, by its id."""
    found: dict[str, list[int]] = {}
    for number, stage in enumerate(plan["stages"]):
        for use in stage["uses"]:
            found.setdefault(use["region"]["id"], []).append(number)
    return found


def rectangle_of(plan: Data, stage: int) -> Data:
    """Where a stage lies."""
    return plan["stages"][stage]["uses"][0]["region"]["rectangle"]


def place_faults(plan: Data, machine: Data) -> Iterator[str]:
    """Tiles off the wafers, that do not work, or of two regions; sizes that are not the tiling's;
    wafers left out."""
    known = constants(machine)
    seen = [len(rows_left(known)), known["grid.columns"]]
    if plan["grid"] != seen or plan["wafers"] != known["wafers"]:
        yield f"the machine has {known['wafers']} x {seen}, the plan {plan['grid']}"
    owner: dict[Tile, str] = {}
    for name, users in regions_of(plan).items():
        records = [plan["stages"][user]["uses"][0]["region"] for user in users]
        place = records[0]["rectangle"]
        if any(record["rectangle"] != place for record in records):
            yield f"{name} lies in two places"
        sizes = {_size(record["tiling"], record["turned"]) for record in records}
        if sizes != {(place["height"], place["width"])} or min(place["height"], place["width"]) < 1:
            yield f"{name} is not as large as its tiling"
        for tile, wrong in _tiles_of(place, known):
            if wrong:
                yield f"{name}: {tile} {wrong}"
            if owner.setdefault(tile, name) != name:
                yield f"{tile} belongs to {owner[tile]} and {name}"
    used, totals = {tile[0] for tile in owner}, plan["totals"]
    if used != set(range(len(used))) or totals["wafers_used"] != len(used):
        yield f"wafers {sorted(used)} are used, the plan counts {totals['wafers_used']}"
    if totals["pes_used"] != len(owner):
        yield f"{len(owner)} tiles are used, the plan counts {totals['pes_used']}"


def _tiles_of(place: Data, known: Data) -> Iterator[tuple[Tile, str]]:
    """The tiles of a rectangle, and what is wrong with each; off the wafer its rows count on."""
    rows, columns, dead = rows_left(known), known["grid.columns"], dead_tiles(known)
    for row in range(place["row"], place["row"] + place["height"]):
        for column in range(place["column"], place["column"] + place["width"]):
            inside = 0 <= row < len(rows) and 0 <= column < columns
            tile = place["wafer"], rows[row] if inside else row, column
            works = 0 <= place["wafer"] < known["wafers"] and tile[1:] not in dead
            yield tile, "is off the wafer" if not inside else "" if works else "does not work"


def memory_faults(plan: Data, machine: Data) -> Iterator[str]:
    """More bytes than a PE has, and classes that hold less than what must lie somewhere in the
    region: weights, streams that pass, inputs and outputs twice."""
    known = constants(machine)
    most = known["sram.bytes_per_pe"] - known["sram.reserved_bytes"]
    fullest = 0
    for name, users in regions_of(plan).items():
        held = [plan["stages"][user]["memory_per_pe"] for user in users]
        spaces = [memory["workspace_bytes"] for memory in held]
        own = sum(memory[f"{key}_bytes"] for memory in held for key in _CLASSES)
        used = own - sum(spaces) + max(spaces)
        fullest = max(fullest, used)
        if used > most or min(min(memory.values()) for memory in held) < 0:
            yield f"{name} holds {used} bytes, a PE has {most}"
        if any(len(memory) != len(_CLASSES) for memory in held):
            yield f"{name} has classes of memory that nobody counts"
    totals = plan["totals"]
    if (totals["max_memory_per_pe_bytes"], totals["memory_capacity_per_pe_bytes"]) != (
        fullest,
        most,
    ):
        yield f"the fullest PE holds {fullest} of {most} bytes, the plan says {totals}"
    for number, stage in enumerate(plan["stages"]):
        for key, least in _least(plan, number, stage).items():
            held = stage["memory_per_pe"][f"{key}_bytes"] * _tiles(plan, number)
            if held < least:
                yield f"{stage['id']}: {key} of {held} bytes on all its PEs, {least} at least"


def slow_faults(plan: Data, machine: Data) -> Iterator[str]:
    """Arithmetic that takes cycles that it cannot on the slowest core of its region: those of a
    core at full speed by its share of speed, rounded up, leave out some numbers."""
    known = constants(machine)
    rows, dead, slow = rows_left(known), dead_tiles(known), known.get("defects.slow_cores", ())
    cores = [tuple(slow[n : n + 3]) for n in range(0, len(slow), 3)]
    for number, stage in enumerate(plan["stages"]):
        place = rectangle_of(plan, number)
        across = range(place["column"], place["column"] + place["width"])
        down = rows[place["row"] : place["row"] + place["height"]]
        own = [c[2] for c in cores if c[0] in down and c[1] in across and c[:2] not in dead]
        percent = min(own, default=100)
        for operator in stage["operators"]:
            cycles = operator["compute_cycles"]
            if -(-100 * (cycles * percent // 100) // percent) != cycles:
                yield f"{stage['id']}: {operator['name']} of {cycles} cycles at {percent} %"


def _least(plan: Data, number: int, stage: Data) -> dict[str, int]:
    """Bytes that a stage's PEs hold together, at least, by class."""
    dtypes = {one["name"]: one["dtype"] for one in plan["parameters"]}
    size = min((ITEM_BYTES[dtypes[name]] for name in stage["parameters"]), default=0)
    at = [use["region"]["id"] for one in plan["stages"] for use in one["uses"]]
    crossing = [
        edge
        for edge in plan["edges"]
        if edge["source"] < 0 or at[edge["source"]] != at[edge["sink"]]
    ]
    coming = [edge["forward_bytes"] for edge in crossing if edge["sink"] == number]
    leaving = [edge["forward_bytes"] for edge in crossing if edge["source"] == number]
    passing = [
        edge["forward_bytes"] + edge["gradient_bytes"] + edge["rebuilt_bytes"]
        for edge in crossing
        if 0 <= edge["source"] < number < edge["sink"]
    ]
    return {
        "weights": stage["nonzeros"]["total"] * size,
        "stream_buffer": 2 * (sum(coming) + max(leaving, default=0)),
        "skip_fifo": sum(passing),
    }


def _size(tiling: Data, turned: bool) -> tuple[int, int]:
    """Rows and columns of PEs that a tiling fills."""
    height, width = tiling["space_split"] * tiling["in_split"], tiling["out_split"]
    if tiling["algorithm"] in ("ring", "summa"):
        height = tiling["space_split"]
    return (width, height) if turned else (height, width)


def _tiles(plan: Data, stage: int) -> int:
    place = rectangle_of(plan, stage)
    return place["height"] * place["width"]


def weight_faults(plan: Data, kept: Mapping[str, int], of_all: Sequence[int]) -> Iterator[str]:
    """Parameters of the model that lie on no stage, or on two; weights that are not counted. `kept`
    are weights that are not zero, by parameter, `of_all` sizes of all parameters."""
    names = [name for stage in plan["stages"] for name in stage["parameters"]]
    if sorted(names) != sorted(kept):
        yield f"the model has {sorted(kept)}, the stages {sorted(names)}"
    counted = [stage["nonzeros"] for stage in plan["stages"]]
    if sum(one["total"] for one in counted) != sum(kept.values()):
        yield f"{sum(kept.values())} weights are not zero, the plan counts {counted}"
    if sum(one["dense"] for one in counted) != sum(of_all):
        yield f"{sum(of_all)} weights, the plan counts {counted}"
