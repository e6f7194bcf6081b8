"""`weft`: the app, its verbs, and how failures leave it."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ..backend.version import VERSION
from . import (
    compile,
    demo,
    doctor,
    explain,
    models,
    place,
    plans,
    recipe,
    simulate,
    sparsity,
    targets,
)
from .bench import verbs as bench
from .run import checkpoint, export, predict, train
from .study import compare, report, sweep, validate
from .terminal.failure import INTERRUPTED, USER_MISTAKE
from .terminal.failure import explain as explained
from .terminal.heartbeat import heartbeat
from .terminal.usage import PARSER_ERROR, as_user_error

_COLLECT_AFTER = 50_000, 20, 100
"""Objects made, then collections of the next younger generation, before garbage is looked for:
importing torch makes 400,000 objects that stay, and Python's 700 is for programs with few."""


class _Verbs(TyperGroup):
    """Turns a user's mistake into one message and an exit code; defects keep their traceback."""

    def main(self, *given: Any, **options: Any) -> NoReturn:
        try:
            code = super().main(*given, **{**options, "standalone_mode": False})
        except PARSER_ERROR as error:
            text = _said(error)
            typer.echo(text, err=True, nl=bool(text))
            code = USER_MISTAKE
        sys.exit(code)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            text = str(stop) or "interrupted; nothing was left half-written"
            typer.echo(text, err=True)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            code = explained(error)
            if code is None:
                raise
            raise typer.Exit(code) from error


def _said(error: Any) -> str:
    """What is wrong; of a verb that was given nothing at all the help, where rich has not printed
    that itself."""
    is_help = type(error).__name__ == "NoArgsIsHelpError"
    return error.format_message() if is_help else f"error: {as_user_error(error)}"


app = typer.Typer(
    cls=_Verbs,
    name="weft",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"weft {VERSION}")
        raise typer.Exit


for verbs in (demo, compile, place, plans, explain, simulate, compare, sweep, report):
    verbs.register(app)
for verbs in (train, predict, export):
    verbs.register(app)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(recipe.app, name="recipe")
app.add_typer(targets.app, name="targets")
app.add_typer(sparsity.app, name="sparsity")
app.add_typer(bench.app, name="bench")
for verbs in (validate, models, doctor):
    verbs.register(app)


@app.callback()
def weft(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="As `version`."),
    ] = False,
) -> None:
    """Compile torch models to wafer-scale dataflow plans; simulate them; train them through XLA,
    one sample at a time. Start with: weft demo"""


@app.command()
def version() -> None:
    """Print the version."""
    _print_version(True)


def main() -> None:
    """Entry point of the `weft` command."""
    gc.set_threshold(*_COLLECT_AFTER)
    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    codes: list[int] = []
    atexit.register(_leave, codes)  # the first to be registered is the last to run
    try:
        with heartbeat(f"weft {verb}".rstrip()):
            app(prog_name="weft")
    except SystemExit as stop:
        codes.append(stop.code if isinstance(stop.code, int) else 0)
        raise


def _leave(codes: list[int]) -> None:
    """End at once with the code of a verb that came to its end: to take apart what torch made takes
    a second or more, in which nothing is said."""
    if codes:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(codes[0])


if __name__ == "__main__":
    sys.exit(main())
