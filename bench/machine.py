"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = ("weft", "torch", "jax", "numpy")


def machine_line() -> str:
    """Processor, number of cores, and versions, in one line."""
    versions = [f"{name} {_version(name)}" for name in _PACKAGES]
    hardware = f"{_processor()}, {os.cpu_count()} cores"
    return "; ".join([hardware, ", ".join([f"python {platform.python_version()}", *versions])])


def _processor() -> str:
    """The model's name where Linux tells it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"
