"""Executors by name."""

from __future__ import annotations

from ..backend.errors import UnknownNameError, UserError
from .job import Executor, Job, Mode

CHUNK = 128
"""Samples that are fed at once."""

EXECUTORS = ("reference", "jax")


def make_executor(name: str, job: Job, mode: Mode) -> Executor:
    """The executor 'reference' or 'jax'. Raises UnknownNameError, or UserError without jax."""
    if name == "reference":
        from .reference import ReferenceExecutor, SequentialReference

        return ReferenceExecutor(job) if mode == "pipelined" else SequentialReference(job)
    if name != "jax":
        raise UnknownNameError("executor", name, EXECUTORS, "weft doctor")
    try:
        from .jax_executor import JaxExecutor
    except ImportError as error:
        raise UserError(
            "executor jax",
            expected="jax in this environment",
            got=str(error),
            change="pip install 'weft[jax]', or take --executor reference",
        ) from error
    return JaxExecutor(job, mode, chunk=CHUNK)
