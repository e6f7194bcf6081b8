"""Reads the plan directory that write.py wrote. Runs no foreign code and never unpickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from torch import Tensor

from .codec import from_data
from .document import PlanDocument
from .files import WEIGHTS_FILE, no_plan, reading, sealed_document, verified
from .plan import Plan
from .program import StageProgram, TensorSpec, ValuePlace
from .program_text import graph_from_data
from .write import FLAG_FIELDS, MASK_PREFIX, SPEC_FIELDS


def load(directory: str | Path, *, allow_edited: bool = False) -> Plan:
    """Read a plan directory; `allow_edited` reads a plan.yaml that was changed by hand, too.

    Raises PlanFileError naming the file that is missing, altered, or of another format version.
    """
    directory = Path(directory)
    document = sealed_document(directory, allow_edited=allow_edited)
    keys = sorted({stage.program for stage in document.stages})
    names = (WEIGHTS_FILE, *(f"stages/{key}.json" for key in keys))
    content = {name: verified(directory, name, document.files.get(name)) for name in names}
    programs = {}
    for key, name in zip(keys, names[1:], strict=True):
        with reading(directory / name):
            programs[key] = _program(key, json.loads(content[name]), str(directory / name))
    with reading(directory / WEIGHTS_FILE):
        tensors, masks = _unpack(content[WEIGHTS_FILE], document)
    return Plan(document, programs, tensors, masks)


def as_plan(given: Plan | str | Path) -> Plan:
    """A plan itself, or that of a directory; raises as `as_document`."""
    if isinstance(given, str | Path):
        return load(given)
    if not isinstance(given, Plan):
        raise no_plan(given)
    return given


def _program(key: str, data: dict[str, Any], where: str) -> StageProgram:
    fields: dict[str, Any] = {name: _specs(data[name], name) for name in SPEC_FIELDS}
    fields |= {name: tuple(map(bool, data[name])) for name in FLAG_FIELDS}
    fields["arriving"] = tuple(ValuePlace(*place) for place in data.get("arriving", ()))
    fields["rebuilt"] = tuple(data.get("rebuilt", ()))
    forward = graph_from_data(data["forward"], where)
    return StageProgram(key, forward, graph_from_data(data["backward"], where), **fields)


def _specs(data: list[Any], name: str) -> tuple[TensorSpec, ...]:
    return tuple(from_data(TensorSpec, item, f"{name}[{i}]") for i, item in enumerate(data))


def _unpack(
    data: bytes, document: PlanDocument
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    packed = load_tensors(data)
    shapes = {record.name: record.shape for record in document.parameters}
    masks = {}
    for name in document.masks:
        count = int(np.prod(shapes[name]))
        bits = np.unpackbits(packed.pop(MASK_PREFIX + name).numpy(), count=count)
        masks[name] = torch.from_numpy(bits.astype(bool)).reshape(shapes[name])
    return packed, masks
