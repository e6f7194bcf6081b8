"""Executors by name."""

from __future__ import annotations

from ..backend.errors import UnknownNameError, UserError
from .job import Executor, Job, Mode

CHUNK = 128
"""Samples that are fed at once."""

EXECUTORS = ("reference", "jax", "torch-xla")


def make_executor(name: str, job: Job, mode: Mode) -> Executor:
    """The executor `name`; raises UnknownNameError, or UserError where its package is missing."""
    if name not in EXECUTORS:
        raise UnknownNameError("executor", name, EXECUTORS, "weft doctor")
    make = {"reference": _reference, "jax": _jax, "torch-xla": _torch_xla}[name]
    try:
        return make(job, mode)
    except ImportError as error:
        raise UserError(
            f"executor {name}",
            expected=f"{name} in this environment",
            got=str(error),
            change=f"pip install 'weft[{name}]', or take --executor reference",
        ) from error


def _reference(job: Job, mode: Mode) -> Executor:
    from .reference import ReferenceExecutor, SequentialReference

    return ReferenceExecutor(job) if mode == "pipelined" else SequentialReference(job)


def _jax(job: Job, mode: Mode) -> Executor:
    from .jax_executor import JaxExecutor

    return JaxExecutor(job, mode, chunk=CHUNK)


def _torch_xla(job: Job, mode: Mode) -> Executor:
    from .xla_device import claim

    claim(None)
    from .xla_executor import XlaExecutor

    return XlaExecutor(job, mode, chunk=CHUNK)
