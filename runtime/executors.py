"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from ..backend.errors import UnknownNameError, UserError
from .job import Executor, Job, Mode
from .part import Groups

Made = TypeVar("Made")
CHUNK = 128
"""Samples that are fed at once."""

EXECUTORS = ("reference", "jax", "torch-xla")


def make_executor(name: str, job: Job, mode: Mode, groups: Groups | None = None) -> Executor:
    """The executor `name`, on one device or, of jax, one per group of stages.

    Raises UnknownNameError, or UserError where its package is missing and for groups that cannot
    be.
    """
    if groups is not None:
        return _from_package(name, lambda: _split(name, job, mode, groups))
    makers = {"reference": _reference, "jax": _jax, "torch-xla": _torch_xla}
    return _from_package(name, lambda: makers[name](job, mode))


def evaluate(name: str, job: Job, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Predictions of an executor at the start values of `job`; raises as `make_executor`."""
    if name != "jax":
        return make_executor(name, job, "sequential").evaluate(inputs)
    return _from_package(name, lambda: _jax_predictions(job, inputs))


def _from_package(name: str, make: Callable[[], Made]) -> Made:
    if name not in EXECUTORS:
        raise UnknownNameError("executor", name, EXECUTORS, "weft doctor")
    try:
        return make()
    except ImportError as error:
        raise UserError(
            f"executor {name}",
            expected=f"{name} in this environment",
            got=str(error),
            change=f"pip install 'weft[{name}]', or take --executor reference",
        ) from error


def _jax_predictions(job: Job, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """By the forward alone: no program that trains is compiled."""
    from .jax_evaluation import evaluate

    return evaluate(job, inputs)


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


def _split(name: str, job: Job, mode: Mode, groups: Groups) -> Executor:
    if name != "jax" or mode != "pipelined":
        raise UserError(
            f"{len(groups)} devices",
            expected="executor jax in mode pipelined: groups of stages work at the same time",
            got=f"executor {name} in mode {mode}",
            change="leave out the number of devices, or change the executor or the mode",
        )
    from .jax_devices import choose
    from .jax_executor import JaxExecutor
    from .jax_home import ManyDevices

    return JaxExecutor(job, mode, CHUNK, ManyDevices(job, groups, choose(len(groups))))
