"""Sparse training of any torch model with any torch optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from .checkpoint import check_state, loaded_without_masks
from .config import Config, Sparsity, configure
from .rule import MaskRule


@dataclass(frozen=True)
class Level:
    """What one parameter keeps: asked for by the last mask update, and counted in its mask."""

    name: str
    elements: int
    requested: int
    kept: int

    @property
    def sparsity(self) -> float:
        """Share of weights that are pruned."""
        return 1 - self.kept / max(self.elements, 1)


class Sparsifier:
    """Masks in force on a model, and their updates after each `optimizer.step()`.

        sparsifier = Sparsifier(model, optimizer, {"algorithm": "rigl", "sparsity": 0.9, ...})

    Before every forward, and after every step, pruned weights are set to 0. Gradients of pruned
    weights are replaced by 0, a select, so NaN there does no harm. Optimizer state of the
    parameter's shape is pruned before each step. `step` counts the optimizer steps whose
    gradients were finite; after such a step the masks that are due change. Dense gradients add up
    over micro-batches until `zero_grad`. `state_dict` belongs into every checkpoint.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, config: Config | Sparsity) -> None:
        sparsity = config if isinstance(config, Sparsity) else configure(config)
        named = dict(model.named_parameters())
        self.step = 0
        self.rules: dict[str, MaskRule] = sparsity.rules(model)
        self.masks: dict[str, Tensor] = {}
        self._parameters = {name: named[name] for name in self.rules}
        self._optimizer = optimizer
        self._dense: dict[str, Tensor] = {}
        self._collected: dict[str, Tensor] = {}
        self._made_at = 0
        self._unmasked_load = False
        self.draw_masks()
        self._hooks = self._attach(model)

    def draw_masks(self) -> None:
        """Draw first masks from the weights as they are now, and count steps from 0 again."""
        self.masks = {
            name: rule.first_mask(self._parameters[name]).to(self._parameters[name].device)
            for name, rule in self.rules.items()
        }
        self.step = self._made_at = 0
        self._collected = {}
        self._unmasked_load = False
        self._prune_weights()

    def levels(self) -> tuple[Level, ...]:
        """Requested and actual number of kept weights of every sparse parameter."""
        return tuple(
            Level(
                name,
                mask.numel(),
                int(self.rules[name].kept(self._made_at).sum()),
                int(mask.sum()),
            )
            for name, mask in self.masks.items()
        )

    def remove(self) -> None:
        """Training goes on dense; weights that were pruned start at exactly 0."""
        self._hooks.close()

    def state_dict(self) -> dict[str, Any]:
        """`step`, and `masks`: a bool tensor per sparse parameter, on the CPU.

        `gradients` holds the dense gradients that were collected for the next mask update.
        """
        masks = {name: mask.cpu().clone() for name, mask in self.masks.items()}
        gradients = {name: value.cpu().clone() for name, value in self._collected.items()}
        counts = {"step": self.step, "made_at": self._made_at}
        return {**counts, "masks": masks, "gradients": gradients}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over masks and step. Raises `UserError` unless they are there and fit the model."""
        check_state(state, self.masks)
        for name, mask in state["masks"].items():
            self.masks[name] = mask.to(self._parameters[name].device, torch.bool, copy=True)
        self.step, self._made_at = int(state["step"]), int(state["made_at"])
        self._unmasked_load = False
        self._dense.clear()
        self._collected = {
            name: value.to(self._parameters[name].device, copy=True)
            for name, value in state.get("gradients", {}).items()
        }
        self._prune_weights()

    def _attach(self, model: nn.Module) -> ExitStack:
        handles = [
            model.register_forward_pre_hook(lambda *_: self._before_forward()),
            model.register_load_state_dict_post_hook(lambda *_: self._after_load()),
            self._optimizer.register_step_pre_hook(lambda *_: self._before_step()),
            self._optimizer.register_step_post_hook(lambda *_: self._after_step()),
        ]
        for name, parameter in self._parameters.items():
            if parameter.requires_grad:
                handles.append(parameter.register_hook(partial(self._on_gradient, name)))
        hooks = ExitStack()
        for handle in handles:
            hooks.callback(handle.remove)
        hooks.callback(_call_after_zero_grad(self._optimizer, self._dense.clear))
        return hooks

    def _before_forward(self) -> None:
        if torch.compiler.is_compiling():
            return
        self._refuse_unmasked_load()
        self._prune_weights()

    def _on_gradient(self, name: str, gradient: Tensor) -> Tensor:
        rule = self.rules[name]
        if rule.needs_gradient and rule.collects(self.step + 1):
            first = self._parameters[name].grad is None or name not in self._dense
            dense = gradient.detach()
            self._dense[name] = dense.clone() if first else self._dense[name] + dense
        return torch.where(self._mask(name), gradient, torch.zeros_like(gradient))

    def _before_step(self) -> None:
        self._refuse_unmasked_load()
        self._prune_state()

    def _after_step(self) -> None:
        self._prune_weights()
        if _finite_gradients(self._optimizer):
            self.step += 1
            self._collect()
            self._update_masks()

    def _collect(self) -> None:
        """Dense gradients of the step just made, added to those of the steps before it."""
        for name, dense in self._dense.items():
            if self.rules[name].collects(self.step):
                before = self._collected.get(name)
                self._collected[name] = dense if before is None else before + dense

    def _update_masks(self) -> None:
        due = [name for name, rule in self.rules.items() if rule.due(self.step)]
        for name in due:
            parameter = self._parameters[name]
            if parameter.grad is not None:
                mask = self.rules[name].update(
                    _array(self.masks[name]),
                    _array(parameter),
                    _array(self._collected[name]) if name in self._collected else None,
                    self.step,
                )
                self.masks[name] = torch.from_numpy(mask).to(parameter.device)
                self._collected.pop(name, None)
        if due:
            self._made_at = self.step
            self._prune_weights()

    def _prune_weights(self) -> None:
        for name, parameter in self._parameters.items():
            # Through .data, which autograd does not watch: zeros over zeros must not invalidate
            # a forward whose backward is still to come.
            parameter.data.masked_fill_(~self._mask(name), 0)

    @torch.no_grad()
    def _prune_state(self) -> None:
        for name, parameter in self._parameters.items():
            for value in self._optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.masked_fill_(~self._mask(name), 0)

    def _mask(self, name: str) -> Tensor:
        """The mask where the parameter is now: models move between devices."""
        device = self._parameters[name].device
        if self.masks[name].device != device:
            self.masks[name] = self.masks[name].to(device)
        return self.masks[name]

    @torch.no_grad()
    def _after_load(self) -> None:
        weights = ((p, self._mask(name)) for name, p in self._parameters.items())
        pruned = (torch.nan_to_num(p, nan=0.0)[~mask] for p, mask in weights)
        self._unmasked_load = any(bool((values != 0).any()) for values in pruned)

    def _refuse_unmasked_load(self) -> None:
        if self._unmasked_load:
            raise loaded_without_masks()


def _array(tensor: Tensor) -> NDArray[Any]:
    host = tensor.detach().cpu()
    return np.asarray(host.float() if host.dtype in (torch.bfloat16, torch.float16) else host)


def _finite_gradients(optimizer: Optimizer) -> bool:
    gradients = (p.grad for group in optimizer.param_groups for p in group["params"])
    values = (g.coalesce().values() if g.is_sparse else g for g in gradients if g is not None)
    return all(bool(torch.isfinite(value).all()) for value in values)


def _call_after_zero_grad(optimizer: Any, then: Callable[[], None]) -> Callable[[], None]:
    """Torch has no hook for zero_grad; returns what puts the method back."""
    original = optimizer.zero_grad

    @wraps(original)
    def zero_grad(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        then()

    def undo() -> None:
        if optimizer.__dict__.get("zero_grad") is zero_grad:
            del optimizer.zero_grad

    optimizer.zero_grad = zero_grad
    return undo
