"""Exceptions as messages and exit codes; a verb whose check fails exits with CHECK_FAILED."""

from __future__ import annotations

import typer

USER_MISTAKE, CHECK_FAILED, INTERRUPTED = 2, 1, 130


def explain(error: Exception) -> int | None:
    """Print what the user needs to know; the exit code, or None for a defect of weft."""
    from ...backend.errors import InfeasibleError, UserError

    if isinstance(error, InfeasibleError):
        typer.echo(f"error: {error}\n\n{error.report}", err=True)
        return USER_MISTAKE
    if isinstance(error, UserError):
        typer.echo(f"error: {error}", err=True)
        return USER_MISTAKE
    if isinstance(error, OSError) and error.filename is not None:
        typer.echo(f"error: {error.filename}: {error.strerror}", err=True)
        return USER_MISTAKE
    return None
