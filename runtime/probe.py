"""Whether an executor works on a device, tried out in a process of its own.

So a driver that hangs costs a time limit, a library that aborts takes nobody with it, and this
process takes no accelerator that someone else may need.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

from ..backend.errors import UnknownNameError, UserError

EXECUTORS = ("reference", "jax", "torch-xla")
DEVICES = ("tpu", "cuda", "cpu")
"""What is there most often comes last: trying ends at the first that works."""
_PACKAGES = {"jax": "jax", "torch-xla": "torch_xla"}
_FORKS = ("torch-xla",)
"""What cannot try another device in the same process after one that failed."""
_NO_GREED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "PJRT_ALLOCATOR_PREALLOCATE": "false"}
_LIMIT_S = 120.0


class DeviceProbe(NamedTuple):
    """What was found, or the reason why it does not work."""

    executor: str
    device: str
    works: bool
    detail: str


def check_executor(name: str) -> None:
    """Raises UnknownNameError for a name that no executor has."""
    if name not in EXECUTORS:
        raise UnknownNameError("executor", name, EXECUTORS, "weft doctor")


def check_device(device: str) -> None:
    """Raises UserError for a name that no kind of device has."""
    if device == "gpu":  # by letters alone, the closest known name is tpu
        raise UserError(
            "unknown device 'gpu'",
            expected="cpu, cuda or tpu",
            got="'gpu'",
            change="--device cuda",
        )
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES, "weft doctor")


def brief(reason: str) -> str:
    """The first sentence of what a library said, without its advice in brackets."""
    line = next(iter(reason.strip().splitlines()), "")
    return re.split(r"\.\s| \(set ", line)[0]


def probe_all(executors: Sequence[str], limit_s: float = _LIMIT_S) -> list[DeviceProbe]:
    """Each executor on each device, the executors at the same time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda executor: probe(executor, limit_s), executors)
    return [one for probes in found for one in probes]


def probe(executor: str, limit_s: float = _LIMIT_S) -> list[DeviceProbe]:
    """An executor on each device; `limit_s` seconds without an end are one device's failure."""
    if executor == "reference":
        return [_reference(device) for device in DEVICES]
    package = _PACKAGES[executor]
    if find_spec(package) is None:
        missing = f"{package} is not installed; install it with: pip install 'weft[{executor}]'"
        return [DeviceProbe(executor, device, False, missing) for device in DEVICES]
    found: list[DeviceProbe] = []
    while len(found) < len(DEVICES):
        found += _tried(executor, DEVICES[len(found) :], limit_s)
    return found


def _tried(executor: str, devices: Sequence[str], limit_s: float) -> list[DeviceProbe]:
    """The first of `devices`, up to the one that works or at which the process stops."""
    command = (sys.executable, "-m", __name__, executor, *devices)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            run = partial(subprocess.run, stdout=out, stderr=err, env=os.environ | _NO_GREED)
            code = run(command, timeout=limit_s, check=False).returncode
            ending = f"the process ended with code {code}"
        except subprocess.TimeoutExpired:
            ending = f"no answer within {limit_s:.0f} s"
        for stream in (out, err):
            stream.seek(0)
        said = [line.partition("\t") for line in out.read().splitlines() if "\t" in line]
        complaint = [line for line in err.read().splitlines() if line.strip()]
    found = [
        DeviceProbe(executor, device, works == "yes", detail)
        for device, (works, _, detail) in zip(devices, said, strict=False)
    ]
    if found and (found[-1].works or len(found) == len(devices)):
        return found
    why = ": ".join([ending, *complaint[-1:]])
    return [*found, DeviceProbe(executor, devices[len(found)], False, why)]


def _reference(device: str) -> DeviceProbe:
    why = "plain torch on the CPU, which the others are tested against"
    return DeviceProbe("reference", device, device == "cpu", why)


def _jax(device: str) -> str:
    from .jax.device import start

    found = start(device)
    import jax.numpy as jnp

    jnp.ones(2).sum().block_until_ready()
    kinds = ", ".join(sorted({one.device_kind for one in found}))
    return f"{len(found)} x {kinds}"


def _torch_xla(device: str) -> str:
    from .torch_xla.device import start

    found = start(device)
    import torch
    import torch_xla

    torch.ones(2, device=torch_xla.device()).sum().item()
    return found


_TRIES = {"jax": _jax, "torch-xla": _torch_xla}


def main(executor: str, *devices: str) -> None:
    """Try devices here until one works, and print a line for each.

    After that one no other can be tried: the libraries keep to the device they began with.
    """
    forks = executor in _FORKS
    if forks:
        with suppress(Exception):  # each device says why
            _without_extras()
            import_module(_PACKAGES[executor])
    any((_tell_in_fork if forks else _tell)(executor, device) for device in devices)


def _without_extras() -> None:
    """Let torch_xla be imported here without what no product needs: its exporters, its recurrent
    layer, and torch._dynamo, of which it sets an option. They take 2.5 s."""
    torch = import_module("torch")
    exporters: Any = ModuleType("torch_xla.stablehlo")
    exporters.save_as_stablehlo = exporters.save_torch_model_as_stablehlo = None
    recurrent: Any = ModuleType("torch_xla.experimental.gru")
    recurrent.GRU = torch.nn.GRU
    dynamo: Any = ModuleType("torch._dynamo")
    dynamo.config = ModuleType("torch._dynamo.config")
    for module in (exporters, recurrent, dynamo, dynamo.config):
        sys.modules[module.__name__] = module


def _tell(executor: str, device: str) -> bool:
    try:
        print(f"yes\t{_TRIES[executor](device)}", flush=True)
    except Exception as error:  # a broken install raises anything at all
        print(f"no\t{brief(str(error)) or type(error).__name__}", flush=True)
        return False
    return True


def _tell_in_fork(executor: str, device: str) -> bool:
    """In a copy of this process: importing the package takes longest and is done once."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(_LIMIT_S))  # nobody waits for it where this process was killed meanwhile
        os._exit(0 if _tell(executor, device) else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, 1):
        sys.exit(128 - code if code < 0 else code)  # as shells tell of signals
    return code == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
