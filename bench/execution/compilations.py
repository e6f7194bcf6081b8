"""How many programs XLA compiles through jax meanwhile."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import jax

_COMPILED = "/jax/core/compile/backend_compile_duration"


class Compilations:
    """A context that counts them; `count` is that so far."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Compilations:
        jax.monitoring.register_event_duration_secs_listener(self._heard)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        jax.monitoring.unregister_event_duration_listener(self._heard)

    def _heard(self, event: str, duration_secs: float, **_: Any) -> None:
        self.count += event == _COMPILED
