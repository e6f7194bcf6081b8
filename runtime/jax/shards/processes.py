"""Training over several processes, on one machine or many: who takes part, who writes.

Every process runs the same program and feeds the same samples in the same order; each one's devices
run their own stages. Only the first process writes files and tells of progress.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import Any

import numpy as np

from ....backend.errors import UserError


def join(coordinator: str | None, process: str | None) -> None:
    """Take part in a run of several processes; to be called before anything asks for a device.

    `coordinator` is HOST:PORT of the first process, `process` NUMBER/COUNT from 0/COUNT on; or
    'auto' and None, where a cluster tells both (Slurm, Open MPI, Kubernetes, Cloud TPU). With
    neither the process is alone.
    Raises UserError for what cannot be read, and when the others do not come.
    """
    if coordinator is None and process is None:
        return
    import jax

    arguments = {} if coordinator == "auto" else _arguments(coordinator, process)
    try:
        jax.distributed.initialize(**arguments)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"coordinator {coordinator}",
            expected="all processes of the run to meet there",
            got=str(error).strip().splitlines()[0],
            change="start every process with the same --coordinator HOST:PORT and its own --process"
            " NUMBER/COUNT, HOST being where process 0 runs",
        ) from error


def _arguments(coordinator: str | None, process: str | None) -> dict[str, Any]:
    number, _, count = (process or "").partition("/")
    host, _, port = (coordinator or "").rpartition(":")
    is_process = number.isdecimal() and count.isdecimal() and int(number) < int(count)
    if host and port.isdecimal() and is_process:
        return {
            "coordinator_address": coordinator,
            "num_processes": int(count),
            "process_id": int(number),
        }
    raise UserError(
        "process of a run of several",
        expected="--coordinator HOST:PORT and --process NUMBER/COUNT, from 0/COUNT on",
        got=f"coordinator {coordinator or 'none'}, process {process or 'none'}",
        change="give both, as in --coordinator 10.0.0.1:8476 --process 0/2",
    )


def is_joined() -> bool:
    """Whether there are other processes that take part."""
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def is_first() -> bool:
    """Whether this process writes files and tells of progress."""
    return not is_joined() or sys.modules["jax"].process_index() == 0


def any_of(flag: bool) -> bool:
    """Whether it is set in any process. Every process has to ask at the same time."""
    if not is_joined():
        return flag
    from jax.experimental.multihost_utils import process_allgather

    return bool(np.any(process_allgather(np.array(flag))))


def check_alike(**values: object) -> None:
    """Every process has to call it, with the same names.

    Raises UserError, in all of them, unless each value reads the same in every process.
    """
    if not is_joined():
        return
    from jax.experimental.multihost_utils import process_allgather

    own = [sha256(str(value).encode()).digest() for value in values.values()]
    found = process_allgather(np.frombuffer(b"".join(own), np.uint8).reshape(len(own), -1))
    others = [n for n, all_of_it in enumerate(found) if (all_of_it != found[0]).any()]
    for place, name in enumerate(values):
        if (found[:, place] != found[0, place]).any():
            listed = ", ".join(map(str, others))
            raise UserError(
                f"a run of {len(found)} processes",
                expected=f"the same {name} in all of them",
                got=f"another one than process 0 in process {listed}",
                change="start all with the same plan, data and options, from a directory that all"
                " see",
            )
