"""`weft doctor`: which executors and devices work here, and why the others do not."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

import typer

from .options import Json
from .terminal.console import Steps, print_json, print_table

_VERSIONS = ("weft", "torch", "numpy", "jax", "torch_xla", "numba", "scikit-learn")
_COLUMNS = ("executor", "device", "works", "detail")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)


def doctor(json: Json = False) -> None:
    """Say which executors and devices work here and why the others do not."""
    from ..runtime.probe import EXECUTORS, probe_all

    with Steps() as step:
        step("try executors")
        found = probe_all(EXECUTORS)
    rows = [(p.executor, p.device, "yes" if p.works else "no", p.detail) for p in found]
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


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
