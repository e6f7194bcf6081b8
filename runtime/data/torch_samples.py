"""torch's Datasets and DataLoaders as samples, read item by item in every epoch.

A transform may draw at random: torch's, numpy's and Python's generators are seeded for each item by
the run's seed, the epoch and its index, so that workers and interruptions change nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
    default_convert,
)

from ...backend.errors import UserError
from .prefetch import prefetched
from .samples import Chunk, Form
from .to_array import to_array

_SHOWN = 3


class SeededItems(torch.utils.data.Dataset):
    """The items of a dataset as arrays, by (epoch, index); one that processes can share."""

    def __init__(self, dataset: Any, names: tuple[str, ...], seed: int) -> None:
        self.dataset, self.names, self.seed = dataset, names, seed

    def __getitem__(self, place: tuple[int, int]) -> list[np.ndarray]:
        epoch, index = place
        seed = int(np.random.SeedSequence((self.seed, epoch, index)).generate_state(1)[0])
        ours = random.getstate(), np.random.get_state()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            try:
                item = self.dataset[index]
            finally:
                random.setstate(ours[0])
                np.random.set_state(ours[1])
        return _arrays(item, self.names)


@dataclass(frozen=True)
class TorchSamples:
    """A map-style dataset whose items are tuples (inputs..., label), or dicts by input name.

    `names` are those of the model's inputs. `processes` read it if it is more than 0, else a
    thread. Raises UserError for a dataset without samples, or without an index.
    """

    dataset: Any
    names: tuple[str, ...]
    seed: int
    processes: int = 0

    def __post_init__(self) -> None:
        is_indexed = hasattr(self.dataset, "__getitem__") and hasattr(self.dataset, "__len__")
        if isinstance(self.dataset, IterableDataset) or not is_indexed:
            raise _unfit(self.dataset, "one that can only be iterated over")
        if not len(self.dataset):
            raise _unfit(self.dataset, "one without samples")

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Those of the first item."""
        return tuple(Form(array.shape[1:], array.dtype) for array in self.read(np.array([0]), 0))

    @property
    def digest(self) -> str:
        """SHA-256 of the length and of some items; the others are not read for it."""
        shown = np.linspace(0, len(self) - 1, _SHOWN).astype(int)
        found = hashlib.sha256(f"{type(self.dataset).__name__} {len(self)}".encode())
        for array in self.read(shown, 0):
            found.update(f"{array.dtype.str} {array.shape}\n".encode() + array.tobytes())
        return found.hexdigest()

    @property
    def in_memory(self) -> Sequence[np.ndarray]:
        """None: the items are read as they are needed."""
        return ()

    def read(self, indices: np.ndarray, epoch: int) -> list[np.ndarray]:
        """Items as rows."""
        items = SeededItems(self.dataset, self.names, self.seed)
        return self._stacked([items[epoch, int(index)] for index in indices])

    def stream(self, chunks: Iterable[Chunk], workers: int) -> Generator[list[np.ndarray]]:
        """Read ahead by `processes`, or by one thread if there are `workers`."""
        if not self.processes:
            yield from prefetched(chunks, lambda c: self.read(c.indices, c.epoch), min(workers, 1))
            return
        places = ([(c.epoch, int(index)) for index in c.indices] for c in chunks)
        loader: Iterable[list[list[np.ndarray]]] = DataLoader(
            SeededItems(self.dataset, self.names, self.seed),
            batch_sampler=places,  # pyright: ignore[reportArgumentType]
            num_workers=self.processes,
            multiprocessing_context="spawn",  # of a process with XLA's threads none may be forked
            collate_fn=_as_it_is,
            generator=torch.Generator().manual_seed(self.seed & 0xFFFFFFFF),  # leaves torch's own
        )
        for items in loader:
            yield self._stacked(items)

    def _stacked(self, items: Sequence[list[np.ndarray]]) -> list[np.ndarray]:
        forms = [[(array.shape, array.dtype) for array in item] for item in items]
        odd = next((form for form in forms if form != forms[0]), None)
        if odd is not None:
            raise _unfit(self.dataset, f"items of {forms[0]} and of {odd}")
        return [np.stack(column) for column in zip(*items, strict=True)]


def loaded(loader: DataLoader, names: tuple[str, ...], seed: int) -> tuple[TorchSamples, bool]:
    """The samples of a DataLoader, and whether it shuffles them.

    Its dataset, its order and its processes are used; its batches are not. Raises UserError for a
    sampler or a collate function of one's own.
    """
    if loader.collate_fn not in (default_collate, default_convert):
        raise _loader_unfit("a collate function of its own, which makes batches")
    sampler = getattr(loader, "sampler", None)
    if not isinstance(sampler, RandomSampler | SequentialSampler):
        raise _loader_unfit(f"a sampler of its own, {type(sampler).__name__}")
    samples = TorchSamples(loader.dataset, names, seed, loader.num_workers)
    return samples, isinstance(sampler, RandomSampler)


def _as_it_is(items: list[list[np.ndarray]]) -> list[list[np.ndarray]]:
    return items


def _arrays(item: Any, names: tuple[str, ...]) -> list[np.ndarray]:
    """One array per input of the model."""
    if isinstance(item, Mapping):
        missing = [name for name in names if name not in item]
        if missing:
            raise _item_unfit(f"a mapping without '{missing[0]}': {', '.join(map(str, item))}")
        item = [item[name] for name in names]
    values = item if isinstance(item, tuple | list) else (item,)
    if len(values) != len(names):
        raise _item_unfit(f"items of {len(values)}")
    return [to_array("item of a torch Dataset", value) for value in values]


def _item_unfit(got: str) -> UserError:
    return UserError(
        "item of a torch Dataset",
        expected="a value for each input of the model, the label last; or a mapping by their names",
        got=got,
        change="return such tuples, or compile the model with inputs of that number",
    )


def _unfit(dataset: Any, got: str) -> UserError:
    return UserError(
        f"torch Dataset {type(dataset).__name__}",
        expected="a map-style dataset (__getitem__ and __len__) with items of one shape",
        got=got,
        change="give a map-style dataset: each epoch reads its items in another order",
    )


def _loader_unfit(got: str) -> UserError:
    return UserError(
        "torch DataLoader",
        expected="one whose samples are fed one by one, shuffled or in their order",
        got=got,
        change="give the Dataset itself; weft shuffles it by the recipe's seed",
    )
