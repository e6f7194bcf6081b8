"""Reading a target file: strip the provenance, apply overrides, validate.

A file describes a mesh of PEs (`Target`) or, with `kind: roofline`, a chip that is only compared
with (`Roofline`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

from ...backend.errors import UnknownNameError, UserError
from ...backend.yaml_text import read_yaml
from .constant import MachineConstant
from .mistakes import mistake
from .roofline import Roofline
from .target import Confidence, Target

_LEAF_KEYS = {"value", "source", "confidence"}
_RANGE = "range"
_PROSE = ("name", "vendor", "year", "description", "advertised")
_LIST_COMMAND = "weft targets"
_PACKAGE = __name__.rpartition(".")[0]
_ROOFLINES = "rooflines"

Machine = Target | Roofline
_Kind = TypeVar("_Kind", Target, Roofline)


def known_targets() -> tuple[str, ...]:
    """Names of the meshes that come with weft: what a model can be compiled for."""
    return _names("")


def known_rooflines() -> tuple[str, ...]:
    """Names of the rooflines that come with weft: what `weft compare` can compare with."""
    return _names(_ROOFLINES)


def _names(folder: str) -> tuple[str, ...]:
    files = (resources.files(_PACKAGE) / folder).iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def load_target(name_or_path: str, overrides: Mapping[str, str] = {}) -> Target:
    """The mesh called `name_or_path`, or in the YAML file at that path.

    `overrides` maps dotted constant names to values, e.g. `{"clock_hz": "1.1e9"}`.

    Raises UnknownNameError for a name or a constant that does not exist, UserError for a file that
    cannot be read, a value that is not allowed, or a roofline.
    """
    machine = load_machine(name_or_path, overrides)
    if isinstance(machine, Target):
        return machine
    raise UserError(
        f"target {name_or_path}",
        expected=f"a mesh that a plan can be made for: {', '.join(known_targets())}",
        got="a roofline: peak arithmetic and memory bandwidth only",
        change=f"weft compare MODEL --targets wse2,{machine.name} compares with it",
    )


def load_machine(name_or_path: str, overrides: Mapping[str, str] = {}) -> Machine:
    """The mesh or the roofline called `name_or_path`, or in the YAML file at that path.

    Raises what `load_target` raises, but takes a roofline.
    """
    where, text = _read(name_or_path)
    document = _parse(where, text)
    kind = document.pop("kind", "mesh")
    prose = {key: document.pop(key) for key in _PROSE if key in document}
    ranges: dict[str, tuple[float, float]] = {}
    constants = {c.name: c for c in _leaves(where, document, "", ranges)}
    prose["ranges"] = {key: ends for key, ends in ranges.items() if key not in overrides}
    for key, value in overrides.items():
        constants[key] = _override(where, constants, key, value)
    found = tuple(constants.values())
    if kind == "roofline":
        return _build(Roofline, where, prose, found)
    if kind != "mesh":
        raise UnknownNameError(f"kind of {where}", str(kind), ("mesh", "roofline"), _LIST_COMMAND)
    target = _build(Target, where, prose, found)
    derived = [one for one in _derived(target) if one.name not in constants]
    if derived:
        target = _build(Target, where, prose, (*found, *derived))
    _check_consistent(where, target)
    return target


def vendor_of(name: str) -> str:
    """Who makes a machine that comes with weft: a line of its file, and nothing else is read."""
    where, text = _read(name)
    line = next(line for line in text.splitlines() if line.startswith("vendor:"))
    return str(_parse(where, line)["vendor"])


def target_text(name_or_path: str) -> str:
    """The YAML of a target, as it is in the file. Raises what `load_target` raises."""
    return _read(name_or_path)[1]


def _read(name_or_path: str) -> tuple[str, str]:
    for folder, names in (("", known_targets()), (_ROOFLINES, known_rooflines())):
        if name_or_path in names:
            file = resources.files(_PACKAGE) / folder / f"{name_or_path}.yaml"
            return f"target {name_or_path}", file.read_text(encoding="utf-8")
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = (*known_targets(), *known_rooflines())
        raise UnknownNameError("target", name_or_path, known, _LIST_COMMAND)
    try:
        return f"target file {path}", path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"target file {path}",
            expected="a readable YAML file",
            got=str(error),
            change=f"check the path, or use one of {', '.join(known_targets())}",
        ) from error


def _parse(where: str, text: str) -> dict[str, Any]:
    try:
        document = deepcopy(_yaml(text))
    except yaml.YAMLError as error:
        raise UserError(
            where,
            expected="valid YAML",
            got=" ".join(str(error).split()),
            change="correct the syntax; tiny_mesh.yaml is a short example",
        ) from error
    if not isinstance(document, dict):
        raise UserError(
            where,
            expected="a mapping of constants",
            got=type(document).__name__,
            change="start from a copy of tiny_mesh.yaml",
        )
    return document


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@lru_cache(maxsize=32)
def _yaml(text: str) -> Any:
    """A file under many overrides is parsed once, by libyaml where there is one; what is wrong is
    said by the other parser."""
    try:
        return yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError:
        return yaml.safe_load(text)


def _leaves(
    where: str, node: Any, path: str, ranges: dict[str, tuple[float, float]]
) -> Iterator[MachineConstant]:
    """The constants of a document, by dotted path; between what they may lie goes to `ranges`."""
    if not isinstance(node, dict):
        raise _not_a_constant(where, path, node)
    if "value" in node:
        yield _constant(where, path, node)
        if _RANGE in node:
            ranges[path] = _range(where, path, node)
        return
    for key, child in node.items():
        yield from _leaves(where, child, f"{path}.{key}" if path else str(key), ranges)


def _constant(where: str, path: str, node: dict[str, Any]) -> MachineConstant:
    known = get_args(Confidence)
    complete = set(node) - {_RANGE} == _LEAF_KEYS and node["confidence"] in known
    if not complete or isinstance(node["value"], dict):
        raise _not_a_constant(where, path, node)
    return MachineConstant(path, node["value"], str(node["source"]), node["confidence"])


def _range(where: str, path: str, node: dict[str, Any]) -> tuple[float, float]:
    """The two ends, with the value between them. YAML reads 1e9 as text."""
    try:
        low, high = (float(end) for end in node[_RANGE])
        is_around = low <= float(node["value"]) <= high
    except (TypeError, ValueError):
        is_around, low, high = False, 0.0, 0.0
    if not is_around:
        raise UserError(
            f"{where}, {path}",
            expected=f"range: [low, high] around the value {node['value']}",
            got=str(node[_RANGE]),
            change="give the ends between which the constant may lie",
        )
    return low, high


def _not_a_constant(where: str, path: str, got: Any) -> UserError:
    return UserError(
        f"{where}, {path or 'top level'}",
        expected="{value, source, confidence} and perhaps range, confidence one of "
        + ", ".join(get_args(Confidence)),
        got=str(got),
        change="give every constant its source and how firm it is",
    )


def _override(
    where: str, constants: Mapping[str, MachineConstant], key: str, value: str
) -> MachineConstant:
    if key not in constants:
        raise UnknownNameError(f"constant of {where}", key, constants, "weft targets show NAME")
    old = constants[key]
    if isinstance(old.value, list | tuple):
        value = _list(where, key, value)
    return MachineConstant(key, value, f"set by the user (file: {old.value})", "assumed")


def _list(where: str, key: str, text: str) -> Any:
    try:
        found = read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        found = None
    if isinstance(found, list):
        return found
    raise UserError(
        f"{where}, {key}",
        expected="a list in brackets, as [12,40,800,3]",
        got=f"'{text}'",
        change=f"--set target.{key}=[...]",
    )


def _build(
    kind: type[_Kind], where: str, prose: dict[str, Any], constants: tuple[MachineConstant, ...]
) -> _Kind:
    values: dict[str, Any] = dict(prose)
    for constant in constants:
        _put(values, constant.name.split("."), constant.value)
    try:
        machine = _validator(kind).validate_python(values)
    except ValidationError as error:
        raise mistake(where, kind, error) from error
    resolved = tuple(
        MachineConstant(c.name, _get(machine, c.name.split(".")), c.source, c.confidence)
        for c in constants
    )
    return _validator(kind).validate_python({**values, "provenance": resolved})


@cache
def _validator(kind: type[_Kind]) -> TypeAdapter[_Kind]:
    """Made once for each kind: it takes longer than all targets do to read."""
    return TypeAdapter(kind)


def _derived(target: Target) -> tuple[MachineConstant, ...]:
    """What a file may leave out."""
    relay = max(1.0, 1 / max(rate.elements_per_cycle for rate in target.compute.values()))
    element = "one element at the rate of element-wise arithmetic, a cycle at least"
    return (
        MachineConstant("noc.relay_cycles", relay, element, "derived"),
        MachineConstant(
            "noc.issue_cycles", target.vector.issue_cycles, "as vector.issue_cycles", "derived"
        ),
    )


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value


def _get(target: Any, path: list[str]) -> Any:
    for key in path:
        target = target[key] if isinstance(target, dict) else getattr(target, key)
    return target


def _check_chain(where: str, target: Target) -> None:
    if target.wafers > 1 and target.wafer_link is None:
        raise UserError(
            f"{where}, wafers",
            expected="wafer_link.bytes_per_s and wafer_link.latency_s beside several wafers",
            got=f"{target.wafers} wafers without a link",
            change="add wafer_link to the target file, as in wse2.yaml",
        )


def _check_consistent(where: str, target: Target) -> None:
    _check_chain(where, target)
    grid, sram = target.grid, target.sram
    if grid.rows > grid.fabric_rows or grid.columns > grid.fabric_columns:
        raise UserError(
            f"{where}, grid",
            expected=f"usable PEs within the fabric of {grid.fabric_rows} x {grid.fabric_columns}",
            got=f"{grid.rows} x {grid.columns}",
            change="lower grid.rows, grid.columns or raise the fabric's",
        )
    _check_defects(where, target)
    if sram.reserved_bytes >= sram.bytes_per_pe:
        raise UserError(
            f"{where}, sram.reserved_bytes",
            expected=f"less than sram.bytes_per_pe = {sram.bytes_per_pe}",
            got=str(sram.reserved_bytes),
            change="lower it: the rest of a PE's memory holds the tensors",
        )


def _check_defects(where: str, target: Target) -> None:
    """Whole pairs and triplets, all on the wafer, and at least one row without a dead core."""
    defects, grid = target.defects, target.grid
    if defects is None:
        return
    rows, got = grid.rows + defects.spare_rows, ""
    if len(defects.dead_cores) % 2 or len(defects.slow_cores) % 3:
        got = f"{len(defects.dead_cores)} and {len(defects.slow_cores)} numbers"
    elif not target.working_rows:
        got = "a dead core in every row"
    else:
        cores = [*defects.dead(), *((row, column) for row, column, _ in defects.slow())]
        outside = [core for core in cores if core[0] >= rows or core[1] >= grid.columns]
        got = f"a core at {outside[0]}" if outside else ""
    if got:
        raise UserError(
            f"{where}, defects",
            expected="dead_cores in pairs (row, column), slow_cores in triplets (row, column,"
            f" percent), on {rows} rows (spare ones included) x {grid.columns} columns",
            got=got,
            change="correct the lists; docs/targets.md has an example",
        )
