"""Arrays on a device by name, each brought to the host when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

Array = Any


class Fetched(Mapping[str, Any]):
    """Arrays (or trees of them) by name, fetched one by one; `|` notes changes.

    `places` has for each name a place (or a tree of them), and `fetch` gives what is there.
    """

    def __init__(
        self,
        places: Mapping[str, Any],
        fetch: Callable[[Any], Array],
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        self._places, self._fetch, self._changes = places, fetch, dict(changes or {})

    def __getitem__(self, name: str) -> Any:
        if name in self._changes:
            return self._changes[name]
        return jax.tree.map(self._fetch, self._places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __or__(self, changes: Mapping[str, Any]) -> Fetched:
        return Fetched(self._places, self._fetch, {**self._changes, **changes})

    def changed(self) -> Iterator[tuple[Any, Array]]:
        """Where something was changed, and its new value."""
        for name, value in self._changes.items():
            places = jax.tree.leaves(self._places[name])
            yield from zip(places, jax.tree.leaves(value), strict=True)
