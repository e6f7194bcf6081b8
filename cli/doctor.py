"""`weft doctor`: which executors and devices work here, and why the others do not."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata

import typer

from .console import print_json, print_table
from .options import Json

_DEVICES = ("cpu", "cuda", "tpu")
_VERSIONS = ("weft", "torch", "numpy", "jax", "torch_xla", "numba", "scikit-learn")
_COLUMNS = ("executor", "device", "works", "detail")

Row = tuple[str, str, str, str]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)


def doctor(json: Json = False) -> None:
    """Say which executors and devices work here and why the others do not."""
    rows = [_reference(), *_jax()]
    versions = {name: _version(name) for name in _VERSIONS}
    if json:
        print_json(
            {
                "python": platform.python_version(),
                "versions": versions,
                "executors": [dict(zip(_COLUMNS, row, strict=True)) for row in rows],
            }
        )
        return
    typer.echo(f"python {platform.python_version()} ({sys.platform}, {platform.machine()})")
    typer.echo(", ".join(f"{name} {found or 'missing'}" for name, found in versions.items()))
    typer.echo("")
    print_table(_COLUMNS, rows)


def _reference() -> Row:
    try:
        import torch
    except Exception as error:  # a broken install raises anything at all
        return ("reference", "cpu", "no", _reason(error))
    return ("reference", "cpu", "yes", f"torch {torch.__version__}")


def _jax() -> Iterator[Row]:
    try:
        import jax
    except Exception as error:  # a broken install raises anything at all
        why = f"{_reason(error)}; install it with: pip install 'weft[jax]'"
        yield from (("jax", device, "no", why) for device in _DEVICES)
        return
    for device in _DEVICES:
        try:
            found = jax.devices(device)
        except RuntimeError as error:
            yield ("jax", device, "no", _reason(error))
        else:
            kinds = ", ".join(sorted({one.device_kind for one in found}))
            yield ("jax", device, "yes", f"{len(found)} x {kinds}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
