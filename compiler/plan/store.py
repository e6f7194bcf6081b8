"""The plan directory: plan.yaml, plan.sha256, stages/<key>.json, weights.safetensors.

Written to a temporary name beside the target and renamed, so that an interrupted write leaves
nothing half-done. Every file's SHA-256 is in plan.yaml, whose own is in plan.sha256; a missing or
altered file is refused by name. Loading runs no foreign code and never unpickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from ...backend.errors import PlanFileError
from ..graph_text import graph_from_data, graph_to_data
from ..program import StageProgram, TensorSpec
from ..staging import staged
from .data import from_data, to_data
from .document import FORMAT_VERSION, PlanDocument
from .plain_yaml import read_yaml, write_yaml
from .plan import Plan

PLAN_FILE = "plan.yaml"
WEIGHTS_FILE = "weights.safetensors"
SEAL_FILE = "plan.sha256"
"""The hash of plan.yaml, as `sha256sum -c` reads it."""
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
    if not allow_edited and is_edited(directory):
        raise PlanFileError(
            str(directory / PLAN_FILE),
            expected=f"the file as weft wrote it, with the hash in {SEAL_FILE}",
            got="other content, or no hash",
            change=f"compile the model again; if you edited it on purpose: weft check {directory}"
            " --accept",
        )
    document = load_document(directory)
    keys = sorted({stage.program for stage in document.stages})
    names = (WEIGHTS_FILE, *(f"stages/{key}.json" for key in keys))
    content = {name: _verified(directory, name, document.files.get(name)) for name in names}
    programs = {}
    for key, name in zip(keys, names[1:], strict=True):
        with _reading(directory / name):
            programs[key] = _program(key, json.loads(content[name]), str(directory / name))
    with _reading(directory / WEIGHTS_FILE):
        tensors, masks = _unpack(content[WEIGHTS_FILE], document)
    return Plan(document, programs, tensors, masks)


def load_document(directory: str | Path) -> PlanDocument:
    """Read plan.yaml alone: enough to show, check, diff and simulate."""
    path = Path(directory) / PLAN_FILE
    if not path.is_file():
        raise PlanFileError(
            str(path),
            expected="a plan directory with a plan.yaml",
            got="no such file",
            change="give the directory that `weft compile -o DIR` wrote",
        )
    with _reading(path):
        data = read_yaml(path.read_text(encoding="utf-8"))
        _check_version(path, data)
        return from_data(PlanDocument, data)


def is_edited(directory: str | Path) -> bool:
    """Whether plan.yaml is there but not what weft wrote."""
    plan, seal = Path(directory) / PLAN_FILE, Path(directory) / SEAL_FILE
    if not plan.is_file():
        return False
    return not seal.is_file() or seal.read_bytes() != _seal(plan.read_bytes())


def accept(directory: str | Path) -> None:
    """Take plan.yaml as it is for what weft wrote."""
    content = (Path(directory) / PLAN_FILE).read_bytes()
    (Path(directory) / SEAL_FILE).write_bytes(_seal(content))


def _seal(content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {PLAN_FILE}\n".encode()


def _check_version(path: Path, data: Any) -> None:
    if isinstance(data, dict) and data.get("format") == FORMAT_VERSION:
        return
    raise PlanFileError(
        str(path),
        expected=f"plan format {FORMAT_VERSION}",
        got=f"format {data.get('format')!r}" if isinstance(data, dict) else "no plan at all",
        change="compile the model again with this version of weft",
    )


_UNREADABLE = (
    *(AttributeError, LookupError, MemoryError, OverflowError, RecursionError, RuntimeError),
    *(TypeError, ValueError, SafetensorError, yaml.YAMLError),
)
"""What comes out of a reader of text, JSON, YAML or tensors that are not what weft wrote."""


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong in reading `path` is that the file is not as weft wrote it."""
    try:
        yield
    except _UNREADABLE as error:
        text = " ".join(str(error).split())
        raise _altered(
            path, f"{text[:300]}{'...' * (len(text) > 300)} ({type(error).__name__})"
        ) from error


def _altered(path: Path, got: str) -> PlanFileError:
    return PlanFileError(
        str(path),
        expected="the file as weft wrote it",
        got=got,
        change="compile the model again; plan files are not meant to be edited",
    )


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


def _verified(directory: Path, name: str, digest: str | None) -> bytes:
    path = directory / name
    if digest is None:
        raise _altered(directory / PLAN_FILE, f"no hash of {name}")
    if not path.is_file():
        raise PlanFileError(
            str(path),
            expected="a file the plan lists",
            got="no such file",
            change="restore it, or compile the model again",
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise _altered(path, "content that differs from the hash in plan.yaml")
    return data


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
