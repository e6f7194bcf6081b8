"""How programs are compiled: products in full float32, bfloat16 rounded to wherever they say."""

from __future__ import annotations

from typing import Any

import jax

_OPTIONS = {"xla_allow_excess_precision": False}


def compile_program(function: Any, *arguments: Any) -> Any:
    """A jitted function, compiled for arguments like these."""
    with jax.default_matmul_precision("highest"):
        return function.lower(*arguments).compile(_OPTIONS)
