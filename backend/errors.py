"""Every exception weft raises on purpose, split by who is at fault.

The command line turns a `UserError` into one message and exit code 2; anything else is a defect
of weft and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property


class WeftError(Exception):
    """Base of all errors raised on purpose."""


class BrokenInvariantError(WeftError):
    """A pass of the compiler made something unsound: a defect of weft, not of the input."""

    def __init__(self, name: str, artefact: str, broken: Sequence[str]) -> None:
        self.broken = tuple(broken)
        lines = "\n".join(f"  {sentence}" for sentence in self.broken[:8])
        more = f"\n  and {len(broken) - 8} more" if len(broken) > 8 else ""
        super().__init__(f"pass '{name}' made an unsound {artefact}:\n{lines}{more}")


class UserError(WeftError):
    """The input is at fault. Says where, what was expected, what was got, and what to change.

    A `change` that takes time to find is a function, which is called when somebody asks.
    """

    def __init__(
        self, where: str, *, expected: str, got: str, change: str | Callable[[], str]
    ) -> None:
        self.where, self.expected, self.got, self._change = where, expected, got, change
        super().__init__(where, expected, got)

    @cached_property
    def change(self) -> str:
        """What to change."""
        return self._change() if callable(self._change) else self._change

    def __str__(self) -> str:
        return (
            f"{self.where}\n  expected: {self.expected}\n  got:      {self.got}"
            f"\n  change:   {self.change}"
        )


_NAMES_SHOWN = 16


class UnknownNameError(UserError):
    """A name that is not in a known set; the closest known names come first."""

    def __init__(self, kind: str, given: str, known: Iterable[str], how_to_list: str) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
        close.sort(key=lambda name: not name.startswith(given))
        ordered = close + [name for name in names if name not in close]
        hint = f"did you mean '{close[0]}'? " if close else ""
        shown = ", ".join(ordered[:_NAMES_SHOWN])
        more = f" and {len(ordered) - _NAMES_SHOWN} more" if len(ordered) > _NAMES_SHOWN else ""
        super().__init__(
            f"unknown {kind} '{given}'",
            expected=f"one of {shown}{more}" if ordered else f"a known {kind}",
            got=f"'{given}'",
            change=f"{hint}list them with: {how_to_list}",
        )


class UnsupportedError(UserError):
    """The model asks for something weft cannot lower: an operator, a dtype, a control flow."""


class WitnessError(UnsupportedError):
    """The stages compute something else than the model itself. Says where the two part."""


class InfeasibleError(UserError):
    """The plan does not fit the target. `report` is the full Infeasible report as text.

    Both what to change and the report try out what would help, once somebody reads them.
    """

    def __init__(
        self,
        where: str,
        *,
        expected: str,
        got: str,
        change: str | Callable[[], str],
        report: Callable[[], str],
    ) -> None:
        self._report = report
        super().__init__(where, expected=expected, got=got, change=change)

    @cached_property
    def report(self) -> str:
        """Demand, bound, what contributes, and the demand under each lever, as lines of text."""
        return self._report()


class PlanFileError(UserError):
    """A plan directory with a missing, altered or unreadable file."""


class CheckpointFileError(UserError):
    """A checkpoint with a missing, truncated, altered or unreadable file."""


class DivergedError(UserError):
    """Training went on without a finite loss or gradient for as long as it may."""


class DeviceError(UserError):
    """A device that is not there, ran out of memory, or went away."""
