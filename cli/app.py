"""The app: all verbs or those that are asked for, and how a user's mistakes leave it."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..backend.version import VERSION
from .terminal.failure import INTERRUPTED, USER_MISTAKE
from .terminal.failure import explain as explained
from .terminal.usage import PARSER_ERROR, as_user_error

PLACES = {
    "demo": "demo",
    "compile": "compile",
    "place": "place",
    "show": "plans",
    "check": "plans",
    "diff": "plans",
    "explain": "explain",
    "simulate": "simulate",
    "compare": "study.compare",
    "sweep": "study.sweep",
    "report": "study.report",
    "train": "run.train",
    "predict": "run.predict",
    "export": "run.export",
    "checkpoint": "run.checkpoint",
    "recipe": "recipe",
    "targets": "targets",
    "sparsity": "sparsity",
    "bench": "bench.verbs",
    "validate": "study.validate",
    "models": "models",
    "doctor": "doctor",
}
"""Every verb, and the module that has it as `register` or, with verbs below it, as `app`."""


class _Verbs(TyperGroup):
    """Turns a user's mistake into one message and an exit code; defects keep their traceback."""

    def main(self, *given: Any, standalone_mode: bool = True, **options: Any) -> Any:
        try:
            code = super().main(*given, standalone_mode=False, **options)
        except PARSER_ERROR as error:
            text = _said(error)
            typer.echo(text, err=True, nl=bool(text))
            code = USER_MISTAKE
        return sys.exit(code) if standalone_mode else code

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


def app_of(verb: str = "") -> typer.Typer:
    """The app with one verb, which is all that a command needs to be imported; without one, or with
    one that is not known, all verbs."""
    app = typer.Typer(
        cls=_Verbs,
        name="weft",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(weft)
    for place in dict.fromkeys([PLACES[verb]] if verb in PLACES else PLACES.values()):
        module = import_module(f".{place}", __package__)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=next(n for n in PLACES if PLACES[n] == place))
        else:
            module.register(app)
    app.command()(version)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"weft {VERSION}")
        raise typer.Exit


def weft(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="As `version`."),
    ] = False,
) -> None:
    """Compile torch models to wafer-scale dataflow plans; simulate them; train them through XLA,
    one sample at a time. Start with: weft demo"""


def version() -> None:
    """Print the version."""
    _print_version(True)
