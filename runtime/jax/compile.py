"""How programs are compiled: products in full float32, bfloat16 rounded to wherever they say.

On a CPU what is made soon after what it reads is found in the caches: the order that needs the
least memory is faster there than that which XLA has for running many kernels at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jax

_OPTIONS = {"xla_allow_excess_precision": False}
_ON_CPU = {**_OPTIONS, "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"}


def compile_program(function: Any, *arguments: Any) -> Any:
    """A jitted function, compiled for arguments like these."""
    with jax.default_matmul_precision("highest"):
        return function.lower(*arguments).compile(_options())


@cache
def _options() -> Mapping[str, Any]:
    """Those for jax's default device; an older jaxlib (0.8) does not let one choose the order."""
    if jax.default_backend() != "cpu":
        return _OPTIONS
    try:
        jax.jit(lambda: 0).lower().compile(_ON_CPU)
    except jax.errors.JaxRuntimeError:
        return _OPTIONS
    return _ON_CPU
