"""Sparse-IFT: a larger, sparse model with the FLOPs of the dense one (Thangarasa et al. 2024)."""

from __future__ import annotations

import copy
import glob
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Literal

from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import UnknownNameError, UserError
from ..flops import Ledger, module_ledger
from ..sparsity.initializers import kept_count
from .ift_layers import SPARSE_WEIGHTS, SparseDoped, SparseFactorized, SparseParallel
from .ift_sizes import widened
from .ift_wide import widen

Family = Literal["wide", "parallel", "factorized", "doped"]
_FAMILIES = ("wide", "parallel", "factorized", "doped")
_GRID = 10_000
"""The search of the sparsity has a step of 1e-4."""


@dataclass(frozen=True)
class SparseIFT:
    """A transformed model, the weights in it that are sparse, and its ledger beside the old one."""

    model: nn.Module
    sparse_weights: tuple[str, ...]
    sparsity: float
    before: Ledger
    after: Ledger

    @property
    def flop_ratio(self) -> float:
        """Effective training FLOPs of the transformed model over those of the dense one."""
        return self.after.training.effective / self.before.training.dense

    def config(self, **keys: Any) -> dict[str, Any]:
        """A sparsity configuration of the sparse weights; `keys` are added to the group."""
        names = [glob.escape(name) for name in self.sparse_weights]
        return {"sparsity": self.sparsity, "param_filter": names, **keys}


def sparse_ift(
    model: nn.Module,
    family: Family,
    sparsity: float,
    example_inputs: tuple[Any, ...],
    *,
    keep: tuple[str, ...] | None = None,
    multiple_of: int = 1,
    activation: Callable[[], nn.Module] = nn.ReLU,
    norm: Callable[[int], nn.Module] | None = None,
    search: bool = False,
    budget: float | None = None,
) -> SparseIFT:
    """Replace dense layers by larger sparse ones of equal FLOPs; `model` itself stays as it is.

    Linear layers and 2-d convolutions without groups are transformed, but not those whose name
    matches a glob of `keep`, by default the first and the last layer. wide: widths are rounded up
    to a multiple of `multiple_of`. factorized: `norm` and `activation` are between the factors.
    parallel: `norm` ends each branch. `norm` is called with its number of features.
    `example_inputs` is one sample with its batch dimension, for the FLOP counter. `search` looks
    for the sparsity, in steps of 1e-4, at which the training FLOPs per sample are at most `budget`,
    by default those of `model`.

    Raises `UserError` for an unknown family, a `keep` that leaves nothing, an architecture whose
    widened layers no longer fit each other, and a budget that no sparsity meets.
    """
    if family not in _FAMILIES:
        raise UnknownNameError("Sparse-IFT family", family, _FAMILIES, "help(weft.nn.sparse_ift)")
    before, new = module_ledger(model, example_inputs), copy.deepcopy(model)
    chosen = _chosen(new, keep)
    if family == "wide":
        first, last = _ends(new)
        widen(new, partial(widened, sparsity=sparsity, multiple_of=multiple_of), first, last)
        weights = [f"{name}.weight" for name in chosen]
    else:
        forms: Mapping[str, Callable[..., nn.Module]] = {
            "parallel": partial(SparseParallel, norm=norm),
            "factorized": partial(SparseFactorized, activation=activation, norm=norm),
            "doped": SparseDoped,
        }
        weights = _replace(new, chosen, lambda layer: forms[family](layer, sparsity))
        _refuse_lazy(new)
    after = _fitting_ledger(new, example_inputs, family)
    if search:
        limit = before.training.dense if budget is None else budget
        sparsity = search_sparsity(after, tuple(weights), limit, new)
    after = after.with_densities(_densities(new, weights, sparsity))
    return SparseIFT(new, tuple(weights), sparsity, before, after)


def search_sparsity(
    ledger: Ledger, weights: tuple[str, ...], budget: float, model: nn.Module
) -> float:
    """The least sparsity of `weights`, a multiple of 1e-4, whose training FLOPs meet `budget`.

    `budget` is in FLOPs per sample. Raises `UserError` if none below 1 does.
    """

    def cost(step: int) -> float:
        densities = _densities(model, weights, step / _GRID)
        return ledger.with_densities(densities).training.effective

    if cost(_GRID - 1) > budget:
        raise UserError(
            "search of the sparsity",
            expected=f"at most {budget:.4g} training FLOPs per sample",
            got=f"{cost(_GRID - 1):.4g} at a sparsity of {1 - 1 / _GRID}",
            change="raise the budget, or make more layers sparse",
        )
    low, high = 0, _GRID - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cost(middle) <= budget else (middle + 1, high)
    return low / _GRID


def _densities(
    model: nn.Module, weights: list[str] | tuple[str, ...], sparsity: float
) -> dict[str, float]:
    sizes = {name: model.get_parameter(name).numel() for name in weights}
    return {name: kept_count(size, sparsity) / max(size, 1) for name, size in sizes.items()}


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    kinds = (nn.Linear, nn.Conv2d)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def _ends(model: nn.Module) -> tuple[str, str]:
    """The first layer, an embedding if there is one, and the last layer."""
    names = list(_layers(model))
    embeds = any(isinstance(module, nn.Embedding) for module in model.modules())
    return "" if embeds else names[0], names[-1]


def _chosen(model: nn.Module, keep: tuple[str, ...] | None) -> list[str]:
    layers = _layers(model)
    dense = (*list(layers)[:1], *list(layers)[-1:]) if keep is None else keep
    chosen = [
        name
        for name, module in layers.items()
        if getattr(module, "groups", 1) == 1 and not any(fnmatchcase(name, g) for g in dense)
    ]
    if not chosen:
        raise UserError(
            "sparse_ift: keep",
            expected="at least one linear layer or convolution to transform",
            got=f"{', '.join(layers) or 'no layer at all'}; kept dense: {', '.join(dense)}",
            change="narrow keep",
        )
    return chosen


def _replace(model: nn.Module, names: list[str], form: Callable[[Any], nn.Module]) -> list[str]:
    """Put forms in place of layers; names of their sparse weights."""
    weights: list[str] = []
    for name in names:
        new = form(model.get_submodule(name))
        model.set_submodule(name, new)
        globs = SPARSE_WEIGHTS[type(new)]
        inside = [key for key, _ in new.named_parameters() if _any_match(key, globs)]
        weights += [f"{name}.{key}" for key in inside]
    return weights


def _any_match(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in globs)


def _refuse_lazy(model: nn.Module) -> None:
    lazy = [name for name, parameter in model.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise UserError(
            "sparse_ift",
            expected="layers with sizes",
            got=f"lazy ones: {', '.join(lazy[:8])}",
            change="give norm=nn.BatchNorm2d or the like: it is called with its number of features",
        )


def _fitting_ledger(model: nn.Module, example_inputs: tuple[Any, ...], family: str) -> Ledger:
    try:
        return module_ledger(model, example_inputs)
    except UserError as error:
        raise UserError(
            f"Sparse-IFT family {family}",
            expected="layers that fit each other after the change",
            got=error.got,
            change="take another family, or build the wide model from its own factory",
        ) from error
