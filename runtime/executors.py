"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from ..backend.errors import DeviceError, UserError
from .probe import brief, check_device, check_executor, probe
from .tick.job import Executor, Job, Mode
from .tick.shard import Shards

Made = TypeVar("Made")
CHUNK = 128
"""Samples that are fed at once."""


def make_executor(
    name: str, job: Job, mode: Mode, device: str | None = None, shards: Shards | None = None
) -> Executor:
    """The executor `name` on device 'cpu', 'cuda' or 'tpu', or on the one it finds by itself.

    With `shards`, jax runs each on a device of its own. Raises UnknownNameError, UserError where
    its package is missing and for shards that cannot be, and DeviceError where its device is.
    """
    if device is not None:
        check_device(device)
    if shards is not None:
        _check_shards(name, mode, len(shards))
    makers = {"reference": _reference, "jax": partial(_jax, shards), "torch-xla": _torch_xla}
    return _from_package(name, lambda: makers[name](job, mode, device))


def evaluate(
    name: str, job: Job, inputs: Sequence[np.ndarray], device: str | None = None
) -> tuple[np.ndarray, ...]:
    """Predictions of an executor at the start values of `job`; raises as `make_executor`."""
    if name != "jax":
        return make_executor(name, job, "sequential", device).evaluate(inputs)
    if device is not None:
        check_device(device)
    return _from_package(name, lambda: _jax_predictions(job, inputs, device))


def _from_package(name: str, make: Callable[[], Made]) -> Made:
    check_executor(name)
    try:
        return make()
    except ImportError as error:
        raise UserError(
            f"executor {name}",
            expected=f"{name} in this environment",
            got=str(error),
            change=f"pip install 'weft[{name}]', or take --executor reference",
        ) from error


def _jax_predictions(
    job: Job, inputs: Sequence[np.ndarray], device: str | None
) -> tuple[np.ndarray, ...]:
    """By the forward alone: no program that trains is compiled."""
    from .jax.evaluation import evaluate

    _start_jax(device)
    return evaluate(job, inputs)


def _start_jax(device: str | None) -> None:
    from .jax.device import start

    if device is not None:
        try:
            start(device)
        except RuntimeError as error:
            raise _missing("jax", device, str(error)) from error


def _reference(job: Job, mode: Mode, device: str | None) -> Executor:
    from .reference.executor import ReferenceExecutor, SequentialReference

    if device not in (None, "cpu"):
        raise _missing("reference", str(device), "it is plain torch on the CPU")
    return ReferenceExecutor(job) if mode == "pipelined" else SequentialReference(job)


def _jax(shards: Shards | None, job: Job, mode: Mode, device: str | None) -> Executor:
    from .jax.executor import JaxExecutor

    _start_jax(device)
    if shards is None:
        return JaxExecutor(job, mode, chunk=CHUNK)
    from .jax.home import ManyDevices
    from .jax.shards.devices import choose

    devices = choose(len(shards), device)
    return JaxExecutor(job, mode, CHUNK, ManyDevices(job, shards, devices))


def _torch_xla(job: Job, mode: Mode, device: str | None) -> Executor:
    from .torch_xla.device import start

    try:
        start(device)
    except (RuntimeError, OSError) as error:
        raise _missing("torch-xla", device or "that PJRT_DEVICE says", str(error)) from error
    from .torch_xla.executor import XlaExecutor

    return XlaExecutor(job, mode, chunk=CHUNK)


def _check_shards(name: str, mode: Mode, count: int) -> None:
    if name != "jax" or mode != "pipelined":
        raise UserError(
            f"{count} devices",
            expected="executor jax in mode pipelined: groups of stages work at the same time",
            got=f"executor {name} in mode {mode}",
            change="leave out the number of devices, or change the executor or the mode",
        )


def _missing(name: str, device: str, reason: str) -> DeviceError:
    working = ", ".join(found.device for found in probe(name) if found.works)
    return DeviceError(
        f"executor {name} on device {device}",
        expected=f"a device that works here: {working or 'none does'}",
        got=brief(reason),
        change="give one of those as --device, or take another --executor; see weft doctor",
    )
