"""The constants of an update rule, for people."""

from __future__ import annotations

from .rule import Settings


def settings_text(settings: Settings) -> str:
    """The constants of an update rule in one line: "sgdm, learning rate 1e-05, ..."."""
    values = dict(settings)
    name = values.pop("optimizer")
    flags = {n: v for n, v in values.items() if isinstance(v, bool)}
    shown = [f"{_words(n)} {_constant(v)}" for n, v in values.items() if n not in flags]
    return ", ".join([str(name), *shown, *[_words(n) for n, v in flags.items() if v]])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _constant(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
