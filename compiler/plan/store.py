"""The plan directory: plan.yaml, plan.sha256, stages/<key>.json, weights.safetensors.

Written to a temporary name beside the target and renamed, so that an interrupted write leaves
nothing half-done. Loading runs no foreign code and never unpickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from .atomic_output import staged
from .data import from_data, to_data
from .document import PlanDocument
from .files import PLAN_FILE, SEAL_FILE, WEIGHTS_FILE, accept, reading, sealed_document, verified
from .plain_yaml import write_yaml
from .plan import Plan
from .program import StageProgram, TensorSpec
from .program_text import graph_from_data, graph_to_data

_NAMES = frozenset({PLAN_FILE, WEIGHTS_FILE, SEAL_FILE, "stages"})
_MASK = "mask:"
_SPEC_FIELDS = (
    *("parameters", "forward_state", "backward_state"),
    *("inputs", "outputs", "saved", "recomputed"),
)
_FLAG_FIELDS = ("input_needs_grad", "output_needs_grad", "trainable")


def save(plan: Plan, directory: Path) -> Path:
    """Write `plan` to `directory`, replacing a plan that is there. Returns the directory.

    Raises UserError if something other than a plan is there.
    """
    with staged(directory, _NAMES) as scratch:
        _write(plan, scratch)
    return directory


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


def _write(plan: Plan, directory: Path) -> None:
    content = {
        f"stages/{key}.json": _program_text(program) for key, program in plan.programs.items()
    }
    content[WEIGHTS_FILE] = dump_tensors(_pack(plan))
    files = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(content.items())}
    document = replace(plan.document, files=files)
    (directory / "stages").mkdir()
    for name, data in content.items():
        (directory / name).write_bytes(data)
    (directory / PLAN_FILE).write_text(write_yaml(to_data(document)))
    accept(directory)


def _program_text(program: StageProgram) -> bytes:
    data: dict[str, Any] = {"key": program.key}
    data |= {name: to_data(getattr(program, name)) for name in (*_SPEC_FIELDS, *_FLAG_FIELDS)}
    data |= {
        "forward": graph_to_data(program.forward),
        "backward": graph_to_data(program.backward),
    }
    return (json.dumps(data, indent=1) + "\n").encode()


def _program(key: str, data: dict[str, Any], where: str) -> StageProgram:
    fields: dict[str, Any] = {name: _specs(data[name], name) for name in _SPEC_FIELDS}
    fields |= {name: tuple(map(bool, data[name])) for name in _FLAG_FIELDS}
    forward = graph_from_data(data["forward"], where)
    return StageProgram(key, forward, graph_from_data(data["backward"], where), **fields)


def _specs(data: list[Any], name: str) -> tuple[TensorSpec, ...]:
    return tuple(from_data(TensorSpec, item, f"{name}[{i}]") for i, item in enumerate(data))


def _pack(plan: Plan) -> dict[str, Tensor]:
    packed = {name: tensor.detach().contiguous().clone() for name, tensor in plan.tensors.items()}
    for name, mask in plan.masks.items():
        bits = np.packbits(mask.cpu().numpy().reshape(-1))
        packed[_MASK + name] = torch.from_numpy(bits)
    return packed


def _unpack(
    data: bytes, document: PlanDocument
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    packed = load_tensors(data)
    shapes = {record.name: record.shape for record in document.parameters}
    masks = {}
    for name in document.masks:
        count = int(np.prod(shapes[name]))
        bits = np.unpackbits(packed.pop(_MASK + name).numpy(), count=count)
        masks[name] = torch.from_numpy(bits.astype(bool)).reshape(shapes[name])
    return packed, masks
