"""What the command line's parser objects to, in the voice of all other mistakes."""

from __future__ import annotations

import re
from typing import Any

import typer

from ...backend.errors import UnknownNameError, UserError

PARSER_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""The parser's own `UsageError`, which typer has under another name in each version."""


def as_user_error(error: Any) -> UserError:
    """A `PARSER_ERROR` as weft says it: which verb, what is missing or unknown, how it is used."""
    context = error.ctx
    verb = context.command_path if context else "weft"
    kind, how = type(error).__name__, f"{verb} --help"
    if kind == "NoSuchOption":
        known = ["--help", *(n for one in context.command.params for n in one.opts if n[0] == "-")]
        return UnknownNameError(f"option of {verb}", error.option_name, known, how)
    unknown = re.search(r"No such command '(.*?)'", error.format_message())
    if unknown:
        return UnknownNameError(f"verb of {verb}", unknown[1], context.command.commands, how)
    parameter = getattr(error, "param", None)
    if parameter is None:
        return _mistake(
            verb, context, "arguments and options as its usage says", error.format_message()
        )
    name = " / ".join(parameter.opts) if parameter.opts[0][0] == "-" else _metavar(parameter)
    got = "nothing" if kind == "MissingParameter" else error.message
    return _mistake(verb, context, f"{name}: {parameter.help}", got)


def _mistake(verb: str, context: Any, expected: str, got: str) -> UserError:
    usage = context.get_usage().removeprefix("Usage: ") if context else verb
    usage = re.sub(r"[{}]", "", " ".join(usage.split()))
    change = f"{usage}; options: {verb} --help"
    return UserError(verb, expected=expected.rstrip("."), got=got.rstrip("."), change=change)


def _metavar(argument: Any) -> str:
    return argument.metavar or argument.name.upper()
