"""The app itself: help, mistakes, exit codes, interruption."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import weft as api
from rich.text import Text
from typer.main import get_command
from weft.cli.app import PLACES, app_of

Weft = Callable[..., Any]


def test_help_does_not_wait_for_torch_or_jax() -> None:
    code = (
        "import sys; from weft.cli.app import app_of\n"
        "try: app_of()(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'jax', 'numpy', 'pydantic', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version(weft: Weft) -> None:
    assert weft("version").out == f"weft {api.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "given", "closest", "how_to_list"),
    [
        (("compile", "resnet2"), "resnet2", "resnet32", "weft models"),
        (("compile", "mlp", "--target", "wse33"), "wse33", "wse3", "weft targets"),
        (("targets", "show", "wse"), "wse", "wse", "weft targets"),
        (("targets", "check", "tiny"), "tiny", "tiny_mesh", "weft targets"),
        (("compile", "mlp", "--set", "epoch=1"), "epoch", "epochs", "one of"),
        (("compile", "mlp", "--set", "target.clock=1"), "clock", "clock_hz", "weft targets show"),
        (("compile", "mlp", "--set", "normalization=onlin"), "onlin", "online", "norm_kinds"),
    ],
)
def test_an_unknown_name_gets_one_message(
    weft: Weft, arguments: tuple[str, ...], given: str, closest: str, how_to_list: str
) -> None:
    outcome = weft(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert given in outcome.err
    assert "did you mean" in outcome.err or closest in outcome.err
    assert closest in outcome.err
    assert how_to_list in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "nowhere.yaml"),
        ("compile", "nowhere:factory"),
        ("compile", "mlp", "--target", "nowhere.yaml"),
        ("show", "nowhere"),
        ("check", "nowhere"),
        ("diff", "nowhere", "nowhere"),
        ("simulate", "nowhere"),
    ],
)
def test_a_missing_file_gets_one_message(weft: Weft, arguments: tuple[str, ...]) -> None:
    outcome = weft(*arguments)
    assert outcome.code == 2
    assert "nowhere" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("arguments", [("frob",), ("compile",), ("show",), ("simulate", "--x")])
def test_wrong_usage_is_exit_code_2(weft: Weft, arguments: tuple[str, ...]) -> None:
    assert weft(*arguments).code == 2


def test_an_interrupted_compile_leaves_nothing(
    weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("weft.compiler.plan.write._program_text", interrupt)
    outcome = weft("compile", "mlp", "--target", "tiny_mesh", "-o", tmp_path / "p")
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1].startswith("interrupted")
    assert list(tmp_path.iterdir()) == []


def test_a_defect_keeps_its_traceback(weft: Weft, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("weft.compiler.recipes.build.compile_recipe", defect)
    with pytest.raises(ZeroDivisionError):
        weft("compile", "mlp")


def test_version_and_short_help(weft: Weft) -> None:
    for arguments, said in ((["--version"], "weft "), (["-h"], "Usage"), (["show", "-h"], "PLAN")):
        done = weft(*arguments)
        assert done.code == 0
        assert said in done.out


def _texts(command: click.Command) -> Iterator[str]:
    """The help of a verb, of its options, and of the verbs below it."""
    yield command.help or ""
    yield from (getattr(option, "help", None) or "" for option in command.params)
    for below in getattr(command, "commands", {}).values():
        yield from _texts(below)


def test_help_in_brackets_is_shown() -> None:
    """It is no style: `[a,b]` has to be written `\\[a,b]`."""
    texts = list(_texts(get_command(app_of())))
    assert len(texts) > 100
    for text in texts:
        assert Text.from_markup(text).plain.count("[") == text.count("["), text


@pytest.mark.parametrize("verb", PLACES)
def test_a_verb_alone_is_as_among_all(verb: str) -> None:
    alone, whole = get_command(app_of(verb)), get_command(app_of())
    names = {name for name in PLACES if PLACES[name] == PLACES[verb]}
    assert set(alone.commands) == {*names, "version"}
    assert list(_texts(alone.commands[verb])) == list(_texts(whole.commands[verb]))


def test_all_verbs_are_in_the_table() -> None:
    assert set(get_command(app_of()).commands) == {*PLACES, "version"}
