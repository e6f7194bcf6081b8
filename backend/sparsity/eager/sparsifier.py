"""Sparse training of any torch model with any torch optimizer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from ...errors import UserError
from ...parameters import places, wrapped
from ..candidates import candidates
from ..config import Config, Sparsity, configure
from ..products import check_stays_finite, check_zeros_reach_products
from ..rule import MaskRule
from .attached import HeldMask, attach, contradicts, release
from .checkpoint import check_state, loaded_without_masks, replaced_parameter
from .dense_gradients import DenseGradients
from .optimizers import check_moves, found_inside, has_finite_gradients, prune_state
from .parallel import gradient_group
from .select import kept, prune


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

    Before every forward, after every step, and before the model's `state_dict()` is taken, pruned
    weights are set to 0. Gradients of pruned
    weights are replaced by 0, a select, so NaN there does no harm. Optimizer state of the
    parameter's shape is pruned before each step. `step` counts the optimizer steps whose
    gradients were finite; after such a step the masks that are due change. Dense gradients add up
    over micro-batches until gradients are zeroed. `state_dict` belongs into every checkpoint.

    Names are those inside of wrappers (torch.compile, DistributedDataParallel); an optimizer that
    wraps another is looked into. Frozen weights that the default choice would take stay dense until
    they are unfrozen, and are then pruned. Copies and pickles of the model keep its pruned weights
    at 0 (see `masks_of`). Raises `UserError` for weights that the optimizer does not hold.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, config: Config | Sparsity) -> None:
        self._sparsity = config if isinstance(config, Sparsity) else configure(config)
        self._model, self._places = model, places(model)
        self._optimizers = found_inside(optimizer)
        self._optimizer = self._optimizers[-1]
        everything = self._rules_of(self._places)
        self.rules: dict[str, MaskRule] = self._rules_of(())
        self.step = self._made_at = 0
        self._waiting = [name for name in everything if name not in self.rules]
        self._group = gradient_group(model, everything.values())
        self._dense = DenseGradients()
        self._entries: dict[str, HeldMask] = {}
        self._watched: set[str] = set()
        self._unmasked_load = False
        self._hooks = ExitStack()
        self._check(self.rules)
        _refuse_growth_in_tiles(everything)
        release(model)
        self._hold(self.rules)
        self.draw_masks()
        self._attach()

    @property
    def masks(self) -> dict[str, Tensor]:
        """A bool mask per sparse parameter, True is kept.

        All True for a frozen parameter that will be pruned once it is trained.
        """
        waiting = {n: p.parameter for n, p in self._places.items() if n in self._waiting}
        dense = {n: torch.ones((), dtype=torch.bool).expand(p.shape) for n, p in waiting.items()}
        return {name: entry.mask for name, entry in self._entries.items()} | dense

    def draw_masks(self) -> None:
        """Draw first masks from the weights as they are now, and count steps from 0 again."""
        for name in self._entries:
            self._draw_mask(name)
        self.step = self._made_at = 0
        self._dense.clear()
        self._unmasked_load = False
        self._prune_weights()

    def levels(self) -> tuple[Level, ...]:
        """Requested and actual number of kept weights of every sparse parameter."""
        masks = {name: entry.mask for name, entry in self._entries.items()}
        return tuple(
            Level(
                name,
                mask.numel(),
                int(self.rules[name].kept(self._made_at).sum()),
                int(mask.sum()),
            )
            for name, mask in masks.items()
        )

    def remove(self) -> None:
        """Training goes on dense; weights that were pruned start at exactly 0."""
        self._hooks.close()

    def state_dict(self) -> dict[str, Any]:
        """`step`, and `masks`: a bool tensor per sparse parameter, on the CPU.

        `gradients` holds the dense gradients that were collected for the next mask update.
        """
        masks = {name: entry.mask.cpu().clone() for name, entry in self._entries.items()}
        collected = self._dense.collected.items()
        gradients = {name: value.cpu().clone() for name, value in collected}
        counts = {"step": self.step, "made_at": self._made_at}
        return {**counts, "masks": masks, "gradients": gradients}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over masks and step. Raises `UserError` unless they are there and fit the model."""
        given = state.get("masks", {})
        waited = [name for name in given if name in self._waiting]
        elements = {**self._entries, **{name: self._places[name].parameter for name in waited}}
        check_state(
            state, {n: e.mask if isinstance(e, HeldMask) else e for n, e in elements.items()}
        )
        self._admit(waited)
        for name, mask in given.items():
            self._put(name, mask)
        self.step, self._made_at = int(state["step"]), int(state["made_at"])
        self._unmasked_load = False
        gradients = state.get("gradients", {}).items()
        devices = {name: place.parameter.device for name, place in self._places.items()}
        self._dense.clear({name: value.to(devices[name], copy=True) for name, value in gradients})
        self._prune_weights()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise UserError(
            "copy or pickle of a Sparsifier",
            expected="copies of the model and the optimizer only",
            got="one of the Sparsifier, whose hooks belong to its own model",
            change="make Sparsifier(copy, optimizer, config) and give it this one's state_dict()",
        )

    def _rules_of(self, thawed: Collection[str]) -> dict[str, MaskRule]:
        """The rules if the frozen parameters in `thawed` trained as well."""
        found = candidates(self._model)
        trained = {n: replace(c, trains=c.trains or n in thawed) for n, c in found.items()}
        return self._sparsity.rules_of(trained, frozen_may_wait=True)

    def _check(self, names: Collection[str]) -> None:
        check_moves(self._optimizer, {name: self._places[name] for name in names})
        check_zeros_reach_products(self._model, names)

    def _hold(self, names: Collection[str]) -> None:
        """Put dense masks on parameters, to be drawn."""
        found = [self._places[name] for name in names]
        entries = [
            HeldMask(
                torch.ones_like(place.parameter, dtype=torch.bool), self.rules[name].is_dynamic
            )
            for name, place in zip(names, found, strict=True)
        ]
        for attached in attach(found, entries):
            self._hooks.callback(attached.remove)
        self._entries |= zip(names, entries, strict=True)

    def _attach(self) -> None:
        """Hooks of the model and the optimizers."""
        inside = self._model
        while (inner := wrapped(inside)) is not None:
            inside = inner
        handles: list[RemovableHandle] = [
            self._model.register_forward_pre_hook(_Call(self._before_forward)),
            inside.register_load_state_dict_post_hook(_Call(self._after_load)),
            inside.register_state_dict_pre_hook(_Call(self._before_saving)),
            self._optimizer.register_step_pre_hook(_Call(self._before_step)),
            self._optimizer.register_step_post_hook(_Call(self._after_step)),
            *(
                outer.register_step_post_hook(_Call(self._prune_weights))
                for outer in self._optimizers[:-1]
            ),
        ]
        for handle in handles:
            self._hooks.callback(handle.remove)
        self._watch()

    def _watch(self) -> None:
        """Take in what was unfrozen, and put hooks on the gradients of all that trains."""
        trains = {name: p.parameter.requires_grad for name, p in self._places.items()}
        fresh = [name for name in self._waiting if trains[name]]
        if fresh:
            self._admit(fresh)
            for name in fresh:
                self._draw_mask(name)
            self._prune_weights()
        for name in self._entries:
            if trains[name] and name not in self._watched:
                hook = self._places[name].parameter.register_hook(partial(self._on_gradient, name))
                self._hooks.callback(hook.remove)
                self._watched.add(name)

    def _admit(self, names: Collection[str]) -> None:
        """Parameters that waited are sparse from now on, with masks still to be drawn or loaded."""
        self._check(names)
        rules = self._rules_of({*self._entries, *names})
        self.rules |= {name: rules[name] for name in names}
        self._waiting = [name for name in self._waiting if name not in names]
        self._hold(names)

    def _draw_mask(self, name: str) -> None:
        parameter, entry, rule = self._places[name].parameter, self._entries[name], self.rules[name]
        if parameter.is_meta:
            entry.share_of_zeros = 1 - int(rule.kept(0).sum()) / max(parameter.numel(), 1)
        else:
            self._put(name, rule.first_mask(parameter))

    def _put(self, name: str, mask: Tensor) -> None:
        check_stays_finite(name, self._places[name], mask)
        device = self._places[name].parameter.device
        self._entries[name].mask = mask.to(device, torch.bool, copy=True)

    def _before_forward(self) -> None:
        if torch.compiler.is_compiling():
            return
        self._refuse_unmasked_load()
        self._refuse_replaced()
        self._watch()
        self._prune_weights()

    def _on_gradient(self, name: str, gradient: Tensor) -> Tensor:
        rule, mask = self.rules[name], self._mask(name)
        if rule.needs_gradient and rule.collects(self.step + 1):
            self._dense.add(name, gradient, self._places[name].parameter.grad, mask)
        return kept(gradient, mask)

    def _before_step(self) -> None:
        self._refuse_unmasked_load()
        before = set(self._watched)
        self._watch()
        for name in self._watched - before:  # unfrozen between its forward and now
            parameter = self._places[name].parameter
            if parameter.grad is not None:
                gradient, parameter.grad = parameter.grad, None
                parameter.grad = self._on_gradient(name, gradient)
        for name in self._entries:
            prune_state(self._optimizer, self._places[name].parameter, self._mask(name))

    def _after_step(self) -> None:
        self._prune_weights()
        if has_finite_gradients(self._optimizer):
            self.step += 1
            for name, rule in self.rules.items():
                if rule.needs_gradient and rule.collects(self.step):
                    self._dense.collect(name, self._places[name].parameter.grad, self._mask(name))
            self._update_masks()

    def _update_masks(self) -> None:
        due = [name for name, rule in self.rules.items() if rule.due(self.step)]
        for name in due:
            parameter, rule = self._places[name].parameter, self.rules[name]
            if parameter.grad is not None:
                dense = self._dense.take(name, self._group) if rule.needs_gradient else None
                gradient = None if dense is None else _array(dense)
                mask = rule.update(
                    _array(self._entries[name].mask), _array(parameter), gradient, self.step
                )
                self._put(name, torch.from_numpy(mask))
                prune_state(self._optimizer, parameter, self._mask(name))
        if due:
            self._made_at = self.step
            self._prune_weights()

    def _prune_weights(self) -> None:
        for name in self._entries:
            # Through .data, which autograd does not watch: zeros over zeros must not invalidate
            # a forward whose backward is still to come.
            prune(self._places[name].parameter.data, self._mask(name))

    def _mask(self, name: str) -> Tensor:
        """The mask where the parameter is now: models move between devices."""
        entry, device = self._entries[name], self._places[name].parameter.device
        if entry.mask.device != device:
            entry.mask = entry.mask.to(device)
        return entry.mask

    def _after_load(self) -> None:
        pairs = ((self._places[name].parameter, e.mask) for name, e in self._entries.items())
        self._unmasked_load = any(contradicts(parameter, mask) for parameter, mask in pairs)

    def _before_saving(self) -> None:
        if not self._unmasked_load:  # what wraps an optimizer may have moved weights since
            self._prune_weights()

    def _refuse_unmasked_load(self) -> None:
        if self._unmasked_load:
            raise loaded_without_masks()

    def _refuse_replaced(self) -> None:
        for name in self._entries:
            place = self._places[name]
            for module, key in place.owners:
                present = module._parameters.get(key)
                if present is not place.parameter and not _is_lent(present):
                    raise replaced_parameter(name)


def _refuse_growth_in_tiles(rules: Mapping[str, MaskRule]) -> None:
    in_tiles = [name for name, rule in rules.items() if rule.needs_room]
    if in_tiles:
        raise UserError(
            f"Sparsifier: growth of '{in_tiles[0]}'",
            expected="'free': an eager model has no tiles",
            got=f"'{'pace' if rules[in_tiles[0]].keeps_pace else 'room'}'",
            change="train a plan of the model (weft.train), or leave growth out",
        )


def _is_lent(present: Tensor | None) -> bool:
    """Whether `torch.func.functional_call` has put a tensor in a parameter's place."""
    return present is not None and not isinstance(present, nn.Parameter)


class _Call:
    """A hook of the Sparsifier's own model; copies of the model get one that does nothing."""

    def __init__(self, function: Callable[[], None] | None = None) -> None:
        self._function = function

    def __call__(self, *_: Any) -> None:
        if self._function is not None:
            self._function()

    def __reduce__(self) -> tuple[type[_Call], tuple[()]]:
        return _Call, ()


def _array(tensor: Tensor) -> NDArray[Any]:
    host = tensor.detach().cpu()
    return np.asarray(host.float() if host.dtype in (torch.bfloat16, torch.float16) else host)
