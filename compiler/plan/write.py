"""Writes the plan directory: plan.yaml, plan.sha256, stages/<key>.json, weights.safetensors.

Written to a temporary name beside the target and renamed, so that an interrupted write leaves
nothing half-done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import save as dump_tensors
from torch import Tensor

from .atomic_output import staged
from .codec import to_data
from .document import PlanDocument
from .files import PLAN_FILE, PLAN_NAMES, WEIGHTS_FILE, accept, document_text
from .program import StageProgram
from .program_text import graph_to_data

MASK_PREFIX = "mask:"
"""Of the names of bit-packed masks among the weights."""
SPEC_FIELDS = (
    *("parameters", "forward_state", "backward_state"),
    *("inputs", "outputs", "saved", "recomputed"),
)
FLAG_FIELDS = ("input_needs_grad", "output_needs_grad", "trainable")


class Contents(Protocol):
    """What is written: see `plan.Plan`."""

    @property
    def document(self) -> PlanDocument: ...
    @property
    def programs(self) -> Mapping[str, StageProgram]: ...
    @property
    def tensors(self) -> Mapping[str, Tensor]: ...
    @property
    def masks(self) -> Mapping[str, Tensor]: ...


def save(plan: Contents, directory: Path) -> Path:
    """Write `plan` to `directory`, replacing a plan that is there. Returns the directory.

    Raises UserError if something other than a plan is there.
    """
    with staged(directory, PLAN_NAMES) as scratch:
        _write(plan, scratch)
    return directory


def _write(plan: Contents, directory: Path) -> None:
    content = {
        f"stages/{key}.json": _program_text(program) for key, program in plan.programs.items()
    }
    content[WEIGHTS_FILE] = dump_tensors(_pack(plan))
    files = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(content.items())}
    document = replace(plan.document, files=files)
    (directory / "stages").mkdir()
    for name, data in content.items():
        (directory / name).write_bytes(data)
    (directory / PLAN_FILE).write_text(document_text(document))
    accept(directory)


def _program_text(program: StageProgram) -> bytes:
    data: dict[str, Any] = {"key": program.key}
    data |= {name: to_data(getattr(program, name)) for name in (*SPEC_FIELDS, *FLAG_FIELDS)}
    if program.arriving or program.rebuilt:
        data |= {"arriving": to_data(program.arriving), "rebuilt": to_data(program.rebuilt)}
    data |= {
        "forward": graph_to_data(program.forward),
        "backward": graph_to_data(program.backward),
    }
    return (json.dumps(data, indent=1) + "\n").encode()


def _pack(plan: Contents) -> dict[str, Tensor]:
    packed = {name: tensor.detach().contiguous().clone() for name, tensor in plan.tensors.items()}
    for name, mask in plan.masks.items():
        bits = np.packbits(mask.cpu().numpy().reshape(-1))
        packed[MASK_PREFIX + name] = torch.from_numpy(bits)
    return packed
