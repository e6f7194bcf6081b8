"""Weights from elsewhere into a plan, and a plan's weights back into a torch model.

Names are the model's own. Files that Hugging Face models come in name them with or without the
prefix of the part that holds the layers (`transformer.`, `model.`); the one prefix that makes every
parameter's name fit is added or taken away. A plan with adapters also takes the weights of the
model that was adapted, by their names there, or adapters alone (adapters.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ...backend.errors import UserError
from ...compiler.plan.plan import Plan
from ...compiler.plan.program import TensorSpec
from .adapters import base_names, is_adapter, load_adapter
from .safetensors_files import read_weights

_LISTED = 6


def load_weights(plan: Plan, source: str | Path | Mapping[str, Tensor]) -> Plan:
    """The plan with the weights of `source`: tensors by name, a safetensors file, or a folder.

    Every parameter must be there, but for adapters, which keep the plan's values if none is; a
    folder of PEFT's has adapters alone, and all else keeps the plan's. Constants and normalization
    state that are not there keep the plan's values. A tensor under a second name (a tied weight) is
    left aside; any other that the plan does not have is refused. Values take the plan's types;
    masked weights become zero, but not frozen ones that are sparse in other places.
    Raises UserError that lists what is missing, unexpected, of another shape, or sparse elsewhere.
    """
    if not isinstance(source, Mapping) and is_adapter(Path(source)):
        return load_adapter(plan, Path(source))
    where = "weights" if isinstance(source, Mapping) else f"weights {source}"
    given = dict(source) if isinstance(source, Mapping) else read_weights(Path(source))
    wanted = _Wanted.of(plan)
    names = wanted.names_in(given)
    _check(wanted, given, names, plan, where)
    _check_zeros(plan, {name: given[found] for name, found in names.items()}, where)
    tensors = dict(plan.tensors)
    for name, found in names.items():
        value = given[found].detach().to("cpu", wanted.specs[name].torch_dtype, copy=True)
        mask = plan.masks.get(name)
        tensors[name] = value if mask is None else torch.where(mask, value, 0)
    return replace(plan, tensors=tensors)


def _check_zeros(plan: Plan, given: Mapping[str, Tensor], where: str) -> None:
    """Raises UserError where a mask would cut a frozen weight that is sparse in other places: no
    training would make up for it."""
    frozen = {
        name
        for stage in plan.stages.stages
        for name, trains in zip(stage.parameters, stage.program.trainable, strict=True)
        if not trains
    }
    cut = {}
    for name in sorted(frozen & given.keys() & plan.masks.keys()):
        value, mask = given[name].detach().cpu(), plan.masks[name].cpu()
        lost = int(((value != 0) & ~mask).sum())
        if lost and 2 * int((value == 0).sum()) >= int((~mask).sum()):  # it is sparse itself
            cut[name] = f"{lost:,} of its {int((value != 0).sum()):,} non-zeros"
    if cut:
        name = next(iter(cut))
        raise UserError(
            where,
            expected="frozen weights that are zero where the plan's masks are",
            got=f"{len(cut)} with other zeros: of {name} the mask would cut {cut[name]}",
            change="train adapters on a base made sparse by the same recipe, leave sparsity out,"
            " or give the dense weights to be cut by the masks",
        )


def copy_into(tensors: Mapping[str, Tensor], model: nn.Module) -> None:
    """Write tensors into the parameters and buffers of the same names, in place.

    What shares memory in the model, as tied weights do, still does. Keys of random draws, constants
    of a trace and tensors of the loss are not the model's; its tensors that are neither parameters
    nor buffers stay as they are, which no training changes. Raises UserError, and writes nothing,
    if the model lacks a name or has another shape under it.
    """
    own = dict(model.named_parameters(remove_duplicate=False))
    own |= dict(model.named_buffers(remove_duplicate=False))
    tensors = {
        name: value
        for name, value in tensors.items()
        if name in own or not (_OF_TRACE.match(name) or _is_plain(model, name))
    }
    missing = [name for name in tensors if name not in own]
    other = [n for n, v in tensors.items() if n in own and own[n].shape != v.shape]
    if missing or other:
        raise UserError(
            f"model {type(model).__name__}",
            expected="the model that was compiled, with the names and shapes of its tensors",
            got="; ".join(
                _listed(kind, found)
                for kind, found in (("it lacks", missing), ("of another shape", other))
                if found
            ),
            change="give the model the plan was made of",
        )
    with torch.no_grad():
        for name, value in tensors.items():
            own[name].copy_(value)


_OF_TRACE = re.compile(r"random\.\d+\.key$|hook\.\d+$|(.*\.)?lifted_tensor_\d+$|loss\.")
"""Names of a plan's tensors that are not the model's."""


def of_model(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A plan's tensors without keys of random draws, constants of a trace and those of the loss."""
    return {name: value for name, value in tensors.items() if not _OF_TRACE.match(name)}


def _is_plain(model: nn.Module, name: str) -> bool:
    """Whether a name is that of a tensor that a module holds as an attribute."""
    path, _, last = name.rpartition(".")
    owner = dict(model.named_modules()).get(path)
    return isinstance(getattr(owner, last, None), Tensor)


@dataclass(frozen=True)
class _Wanted:
    """What a plan holds: specs by name, which of them are parameters, and of a model with adapters
    the names before it was adapted (None: of an adapter's own)."""

    specs: Mapping[str, TensorSpec]
    parameters: frozenset[str]
    before: Mapping[str, str | None]

    @staticmethod
    def of(plan: Plan) -> _Wanted:
        specs: dict[str, TensorSpec] = {}
        for stage in plan.stages.stages:
            program = stage.program
            own = (*program.parameters, *program.forward_state, *program.backward_state)
            specs |= zip(stage.tensors, own, strict=True)
        names = (name for stage in plan.stages.stages for name in stage.parameters)
        return _Wanted(specs, frozenset(names), base_names(specs))

    def names_in(self, given: Mapping[str, Tensor]) -> dict[str, str]:
        """The plan's names with those that `given` has for them, by the prefix that fits best."""
        candidates = [("", "")]
        for name in sorted(filter(None, map(self.name_before, self.parameters)))[:1]:
            candidates += [(key.removesuffix(name), "") for key in given if _ends(key, name)]
            candidates += [("", name.removesuffix(key)) for key in given if _ends(name, key)]
        found = [self._under(given, *candidate) for candidate in candidates]
        return max(found, key=lambda names: len(self.parameters & names.keys()))

    def _under(self, given: Mapping[str, Tensor], more: str, less: str) -> dict[str, str]:
        """Names as they are, else with prefix `more` and without prefix `less`."""
        changed = {name: more + self._before(name).removeprefix(less) for name in self.specs}
        found = {n: n if n in given else changed[n] for n in self.specs}
        return {name: key for name, key in found.items() if key in given}

    def name_before(self, name: str) -> str | None:
        """Its name before the model was adapted; None of what is an adapter's own."""
        return self.before.get(name, name)

    def _before(self, name: str) -> str:
        return self.name_before(name) or name

    def needed(self, names: Mapping[str, str], held: Mapping[str, Tensor]) -> list[str]:
        """What must be given: adapters only if one of them is, or the plan has none."""
        own = {n for n in self.specs if self.name_before(n) is None}
        is_base = not own & names.keys()
        left = {n for n in own if n in held} if is_base else set()
        return [n for n in self.specs if n not in left and (n in self.parameters or n not in held)]


def _ends(longer: str, shorter: str) -> bool:
    return longer.endswith(f".{shorter}")


def _check(
    wanted: _Wanted, given: Mapping[str, Tensor], names: Mapping[str, str], plan: Plan, where: str
) -> None:
    missing = [name for name in wanted.needed(names, plan.tensors) if name not in names]
    used = set(names.values())
    unexpected = [k for k, v in given.items() if k not in used and not _is_second(v, given, used)]
    other = [
        f"{name} {tuple(given[found].shape)} for {wanted.specs[name].shape}"
        for name, found in names.items()
        if tuple(given[found].shape) != wanted.specs[name].shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
    if missing or unexpected or other:
        raise UserError(
            where,
            expected=f"the {len(wanted.parameters)} parameters of {plan.document.model}, by name",
            got="; ".join(_listed(kind, found) for kind, found in kinds if found),
            change="give the weights of the model that was compiled",
        )


def _is_second(value: Tensor, given: Mapping[str, Tensor], used: set[str]) -> bool:
    """Whether a tensor is one that is used, under a second name."""
    alike = (given[name] for name in used if given[name].shape == value.shape)
    return any(torch.equal(value, other) for other in alike)


def _listed(kind: str, names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {kind}: {', '.join(names[:_LISTED])}{more}"
