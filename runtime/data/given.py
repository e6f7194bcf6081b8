"""Data that a Python program has at hand: arrays, tensors, tuples, dicts, torch's Datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ...backend.errors import UserError
from .dataset import Dataset, Splits
from .finite import check_finite
from .load import load_data
from .samples import ArraySamples, Samples
from .to_array import to_array
from .torch_samples import TorchSamples, loaded

_PARTS = ("train", "validation", "test")
_FORMS = (
    "a name or a path, a tuple of arrays (X, Y) or (X, Y, X_test, Y_test), a torch Dataset or"
    " DataLoader, or a dict with train, validation and test, or x_train, y_train, x_test, y_test"
)


@dataclass(frozen=True)
class Wanted:
    """What a model takes: the names of its inputs, the label last, and the shape of the first.

    `seed` is that of a run, for transforms that draw at random. With `raw` bytes of images are
    left as they are.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    seed: int
    raw: bool = False


def as_splits(given: Any, wanted: Wanted) -> Splits:
    """The data that a user gave as samples.

    Arrays are numpy's or torch's, one for each input of the model; twice as many are those for
    training and those for testing. Raises UserError for anything else, for sparse arrays and for
    numbers that are not finite.
    """
    if isinstance(given, Splits | Dataset):
        return given if isinstance(given, Splits) else given.splits
    if isinstance(given, str | Path):
        return load_data(str(given), wanted.shape, wanted.raw).splits
    if isinstance(given, Mapping):
        return _of_mapping(given, wanted)
    if isinstance(given, tuple | list) and all(map(_is_dataset, given)) and 1 <= len(given) <= 2:
        return _of_parts(dict(zip(("train", "test"), given, strict=False)), wanted)
    if isinstance(given, tuple | list) and len(given) == 2 * len(wanted.names):
        middle = len(wanted.names)
        return _of_parts({"train": given[:middle], "test": given[middle:]}, wanted)
    return _of_parts({"train": given}, wanted)


def _of_mapping(given: Mapping[str, Any], wanted: Wanted) -> Splits:
    if "train" in given:
        unknown = [name for name in given if name not in _PARTS]
        if unknown:
            raise _unfit(f"a dict with '{unknown[0]}' beside 'train'")
        return _of_parts(given, wanted)
    if "x_train" in given:
        parts = {}
        for part in _PARTS:
            pair = [given.get(f"{kind}_{part}") for kind in "xy"]
            if all(value is not None for value in pair):
                parts[part] = tuple(pair)
        unknown = [n for n in given if n.partition("_")[2] not in parts]
        if "train" not in parts or unknown:
            raise _unfit(f"a dict with {', '.join(map(str, given))}")
        return _of_parts(parts, wanted)
    if all(name in given for name in wanted.names):
        return _of_parts({"train": tuple(given[name] for name in wanted.names)}, wanted)
    raise _unfit(f"a dict with {', '.join(map(str, given))}")


def _of_parts(parts: Mapping[str, Any], wanted: Wanted) -> Splits:
    shuffles = True
    found: dict[str, Samples | None] = dict.fromkeys(_PARTS)
    for part, given in parts.items():
        if isinstance(given, DataLoader):
            found[part], is_shuffled = loaded(given, wanted.names, wanted.seed)
            shuffles = is_shuffled if part == "train" else shuffles
        elif isinstance(given, TorchDataset):
            found[part] = TorchSamples(given, wanted.names, wanted.seed)
        else:
            found[part] = _of_arrays(part, given, wanted)
    train = found["train"]
    assert train is not None
    return Splits("given", train, found["validation"], found["test"], "as given", shuffles)


def _of_arrays(part: str, given: Any, wanted: Wanted) -> ArraySamples:
    values: Sequence[Any] = given if isinstance(given, tuple | list) else (given,)
    arrays = tuple(_array(value) for value in values)
    if len(arrays) != len(wanted.names):
        count = "1 array" if len(arrays) == 1 else f"{len(arrays)} arrays"
        inputs = ", ".join(wanted.names)
        raise _unfit(f"{count} to {part}, for a model whose inputs are {inputs}")
    for name, array in zip(wanted.names, arrays, strict=True):
        check_finite(f"data, {part}", name, array)
    return ArraySamples(f"given, {part}", arrays)


def _array(value: Any) -> np.ndarray:
    if not hasattr(value, "__array__") and not hasattr(value, "toarray"):
        raise _unfit("nothing" if value is None else f"{type(value).__name__} {value!r:.40}")
    return to_array("data", value)


def _is_dataset(value: Any) -> bool:
    return isinstance(value, TorchDataset | DataLoader)


def _unfit(got: str) -> UserError:
    return UserError("data", expected=_FORMS, got=got, change="give one of those")
