"""The ledger of a torch module: one forward on the meta device, nothing is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map_only

from ..errors import UserError
from ..parameters import ParameterPlace, by_any_name, places
from .ledger import Layer, Ledger, WorkKind
from .products import CountedProduct, ParameterOwner, Products


def module_ledger(
    model: nn.Module,
    example_inputs: tuple[Any, ...],
    masks: Mapping[str, Tensor] | None = None,
    *,
    vocabulary: tuple[str, ...] = ("*lm_head*",),
) -> Ledger:
    """Products with a weight in the order they run, then those without.

    A weight is any parameter that a product multiplies, as it is or as computed from it alone
    (weight norm); its layer is the module that holds it, and that of a tied weight the one that
    runs. `example_inputs` is one sample with its batch dimension of 1. `masks` (parameter name to
    bool mask) give the densities; those of parameters that no product multiplies, such as tables
    that are looked up, change nothing. Layers whose name matches a glob of `vocabulary` are of that
    kind. Batched products without a weight are of kind attention, all that is left is other. A
    layer that runs twice has two rows.

    Where the forward looks at values, the model is run once as it is. Raises `UserError` for a mask
    of no parameter, and for a model that cannot run on the example.
    """
    known = places(model)
    _refuse_lazy(known)
    products = _products(model, known, example_inputs)
    weighed = [_layer(p, p.weight, known, vocabulary) for p in products if p.weight]
    free = [product for product in products if not product.weight]
    batched = sum(product.macs for product in free if product.is_batched)
    other = sum(product.macs for product in free if not product.is_batched)
    rest = [Layer("batched products", "attention", batched)] if batched else []
    rest += [Layer("other products", "other", other)] if other else []
    ledger = Ledger((*weighed, *rest))
    return ledger.with_densities(_densities(model, ledger, masks or {}))


def _layer(
    product: CountedProduct,
    weight: str,
    known: Mapping[str, ParameterPlace],
    vocabulary: tuple[str, ...],
) -> Layer:
    place = known[weight]
    modules = [name.rpartition(".")[0] for name in place.names]
    runs = place.owners.index(product.owner) if product.owner else 0
    is_vocabulary = any(fnmatchcase(module, glob) for module in modules for glob in vocabulary)
    kind: WorkKind = "vocabulary" if is_vocabulary else "linear"
    kind = "convolution" if product.is_convolution else kind
    return Layer(modules[runs], kind, product.macs, weight)


def _densities(model: nn.Module, ledger: Ledger, masks: Mapping[str, Tensor]) -> dict[str, float]:
    known, multiplied = by_any_name(model), {layer.weight for layer in ledger.layers}
    for name in masks.keys() - known.keys():
        raise UserError(
            f"mask of '{name}'",
            expected="a parameter of the model",
            got="no such parameter",
            change="make the masks from this model: configure(...).masks(model)",
        )
    first = {known[name].names[0]: mask for name, mask in masks.items()}
    return {
        name: int(mask.sum()) / max(mask.numel(), 1)
        for name, mask in first.items()
        if name in multiplied
    }


def _products(
    model: nn.Module, known: Mapping[str, ParameterPlace], example_inputs: tuple[Any, ...]
) -> list[CountedProduct]:
    """On the meta device if the forward lets itself be run there."""
    try:
        return _run(model, known, example_inputs, on_meta=True)
    except (RuntimeError, NotImplementedError) as error:
        if any(place.parameter.is_meta for place in known.values()):
            change = "give inputs that model(*inputs) takes; if it looks at values, give it weights"
            raise _cannot_run(model, error, change) from error
    try:
        return _run(model, known, example_inputs, on_meta=False)
    except RuntimeError as error:
        raise _cannot_run(model, error, "give inputs that model(*inputs) takes") from error


def _cannot_run(model: nn.Module, error: Exception, change: str) -> UserError:
    return UserError(
        f"ledger of {type(model).__name__}",
        expected="a forward that runs on the example inputs",
        got=str(error).splitlines()[0],
        change=change,
    )


def _run(
    model: nn.Module,
    known: Mapping[str, ParameterPlace],
    example_inputs: tuple[Any, ...],
    on_meta: bool,
) -> list[CountedProduct]:
    """The products of one forward. The model's state and torch's generator stay as they are."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    state = parameters | {name: b.clone() for name, b in model.named_buffers()}
    inputs = example_inputs
    if on_meta:
        state = {name: tensor.to("meta") for name, tensor in state.items()}
        inputs = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), example_inputs)
    products = Products({name: state[place.spelled[0]] for name, place in known.items()})
    with ExitStack() as stack:
        for name, place in known.items():
            for owner in place.owners if len(place.owners) > 1 else ():
                _note_while_running(stack, products, name, owner)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_unfused())
        stack.enter_context(products)
        functional_call(model, state, inputs)
    return products.found


@contextmanager
def _unfused() -> Iterator[None]:
    """Encoder layers and recurrent layers of torch's own run as one operator each, if let."""
    fast, onednn = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._set_mkldnn_enabled(onednn)


def _note_while_running(
    stack: ExitStack, products: Products, name: str, owner: ParameterOwner
) -> None:
    """Tells `products` which of the modules that hold a tied weight is running."""

    def begin(*_: Any) -> None:
        products.running[name] = owner

    def end(*_: Any) -> None:
        products.running.pop(name, None)

    module, _ = owner
    stack.callback(module.register_forward_pre_hook(begin).remove)
    stack.callback(module.register_forward_hook(end).remove)


def _refuse_lazy(known: Mapping[str, ParameterPlace]) -> None:
    lazy = [name for name, place in known.items() if is_lazy(place.parameter)]
    if lazy:
        raise UserError(
            "ledger of a module",
            expected="parameters with shapes",
            got=f"lazy ones: {', '.join(lazy[:8])}",
            change="run the model once, or give its lazy modules their sizes",
        )
