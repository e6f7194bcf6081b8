"""What happens to one sample: the model is called on it, then the loss on the prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from ...backend.errors import UserError

Loss = Callable[[Any, Any], Tensor]
Sample = tuple[Any, ...] | Mapping[str, Any]
"""Arguments of a model: in order, or by keyword. With a loss its target is the last one, or the
one called 'target'. Dicts, lists and tuples of tensors are allowed; what is no tensor is fixed."""

_TARGET = "target"


class OneSample(nn.Module):
    """A model with its loss as one module that returns (loss, *predictions)."""

    def __init__(self, model: nn.Module, loss: Loss | None) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *sample: Any, **named: Any) -> tuple[Tensor, ...]:
        if self.loss is None:
            return tuple(_tensors(self.model(*sample, **named)))
        target = named.pop(_TARGET) if named else sample[-1]
        prediction = self.model(**named) if named else self.model(*sample[:-1])
        return (self.loss(prediction, target), *_tensors(prediction))


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in a model's result; an entry 'loss' comes first.

    Goes through tuples, lists and mappings (which the outputs of transformers are), not through
    other objects such as key-value caches.
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value, key=lambda key: key != "loss"):
            yield from _tensors(value[key])
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)


def arguments(sample: Sample) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of `OneSample`."""
    return ((), dict(sample)) if isinstance(sample, Mapping) else (tuple(sample), {})


def apart(sample: Sample) -> Sample:
    """The same sample, a tensor given twice as two: a trace tells inputs apart by identity."""
    seen: set[int] = set()

    def own(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        is_first = id(value) not in seen
        seen.add(id(value))
        return value if is_first else value.clone()

    return tree_map(own, sample)


def check_sample(sample: Sample, loss: Loss | None) -> None:
    """Raises UserError unless every tensor has batch dimension 1 and a loss has its target."""
    if loss is not None and isinstance(sample, Mapping) and _TARGET not in sample:
        raise UserError(
            "example inputs",
            expected=f"the loss's target as '{_TARGET}' beside the model's own arguments",
            got=", ".join(sample) or "nothing",
            change=f"add '{_TARGET}', or give no loss if the model returns its own",
        )
    items = sample.items() if isinstance(sample, Mapping) else enumerate(sample)
    for place, value in items:
        for leaf in tree_leaves(value):
            if isinstance(leaf, Tensor) and (leaf.ndim == 0 or leaf.shape[0] != 1):
                raise UserError(
                    f"example input {place}",
                    expected="a single sample: a tensor whose first (batch) dimension is 1",
                    got=f"shape {tuple(leaf.shape)}",
                    change="pass one sample, e.g. x[:1]; weft trains at batch size 1",
                )
