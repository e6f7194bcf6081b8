"""A user's own functions: found by file or module, their mistakes told by line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.network import build_model
from weft.compiler.recipes.read import make_recipe
from weft.compiler.recipes.user_code import find

MODELS = """
import torch
from torch import nn
import widths

def small(width=widths.WIDTH):
    return nn.Sequential(nn.Flatten(), nn.Linear(12, width), nn.ReLU(), nn.Linear(width, 3))

def on_meta():
    with torch.device("meta"):
        return small()

def broken():
    import a_module_that_nobody_has

def divides():
    return 1 / 0

def many_lines():
    raise TypeError("no such size, but one of:\\n * (int a)\\n * (int a, int b)\\n")

def text():
    return "no module"

a_module = nn.Linear(4, 3)
WIDTHS = [4, 3]

def half(prediction, label):
    return nn.functional.cross_entropy(prediction, label) / 2
"""
INPUT = {"input": {"shape": [3, 2, 2], "classes": 3}, "target": "tiny_mesh"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_models.py").write_text(MODELS)
    (tmp_path / "widths.py").write_text("WIDTH = 5\n")
    monkeypatch.chdir(tmp_path)
    modules, paths = set(sys.modules), list(sys.path)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    sys.path[:] = paths


def built(name: str, **more: object) -> nn.Module:
    return build_model(make_recipe({"model": {"name": name, **more}, **INPUT}))[0]


@pytest.mark.parametrize("name", ["my_models.py:small", "my_models:small", "./my_models.py:small"])
def test_a_factory_beside_the_user_is_found_with_what_it_imports(name: str) -> None:
    assert [p.shape[0] for p in built(name).parameters()] == [5, 5, 3, 3]
    assert next(built(name, options={"width": 7}).parameters()).shape == (7, 12)


def test_a_file_elsewhere_is_run_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    name = f"{folder / 'my_models.py'}:small"
    assert find(name, "model") is find(name, "model")


def test_two_files_of_one_name_are_two_modules(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "my_models.py").write_text("def small(): return 'other'\n")
    assert find("my_models.py:small", "model")() != "other"
    assert find("other/my_models.py:small", "model")() == "other"


def test_a_module_itself_is_taken() -> None:
    assert isinstance(built("my_models.py:a_module"), nn.Linear)


def test_a_model_on_the_meta_device_compiles() -> None:
    recipe = make_recipe({"model": "my_models.py:on_meta", **INPUT})
    real = compile_recipe(make_recipe({"model": "my_models.py:small", **INPUT}))
    assert compile_recipe(recipe).document.totals == real.document.totals


def test_a_loss_of_the_users_is_found() -> None:
    label = torch.tensor([1])
    scores = torch.randn(1, 3)
    expected = nn.functional.cross_entropy(scores, label) / 2
    assert find("my_models.py:half", "loss")(scores, label) == expected


@pytest.mark.parametrize(
    ("name", "line", "got"),
    [
        ("broken", 14, "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
        ("divides", 17, "ZeroDivisionError: division by zero"),
        ("many_lines", 20, "TypeError: no such size, but one of:"),
    ],
)
def test_an_exception_of_a_factory_is_told_by_its_line(
    folder: Path, name: str, line: int, got: str
) -> None:
    with pytest.raises(UserError) as error:
        built(f"my_models.py:{name}")
    assert f"{folder / 'my_models.py'}, line {line}" in error.value.where
    assert error.value.got == got


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such.py:small", "no file no_such.py"),
        ("no_such:small", "run where no_such.py lies"),
        ("my_models.py", "my_models.py:NAME"),
        ("my_models.py:text", "returns a torch.nn.Module"),
        ("my_models.py:WIDTHS", "got:      a list"),
        ("my_models.py:small", "options that its factory takes"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_refused(name: str, words: str) -> None:
    options = {"no_such": 1} if name.endswith(":small") else {}
    with pytest.raises(UserError) as error:
        built(name, options=options)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("code", "options", "change"),
    [
        ("def f(width): return nn.Linear(4, width)", {}, "--set model.options.width=VALUE"),
        ("def f(width=3): return nn.Linear(4, width)", {"widht": 3}, "it takes width"),
        ("def f(): return nn.Linear(4, 3)", {"width": 3}, "give no model.options"),
    ],
)
def test_wrong_options_are_told_by_the_signature(
    folder: Path, code: str, options: dict[str, int], change: str
) -> None:
    (folder / "one.py").write_text(f"from torch import nn\n\n{code}\n")
    with pytest.raises(UserError) as error:
        built("one.py:f", options=options)
    assert change in error.value.change


def test_a_name_that_a_module_lacks_lists_its_own() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'small'") as error:
        built("my_models.py:smal")
    assert "nn" not in error.value.expected.removeprefix("one of ").split(", ")


def test_a_syntax_error_is_told_by_its_line(folder: Path) -> None:
    (folder / "bad.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(UserError, match=r"bad\.py, line 2"):
        built("bad.py:f")


def test_a_file_that_failed_can_be_mended_and_named_again(folder: Path) -> None:
    (folder / "mended.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match=r"mended\.py, line 1"):
        built("mended.py:f")
    (folder / "mended.py").write_text("from torch import nn\ndef f(): return nn.Linear(2, 2)\n")
    assert isinstance(built("mended.py:f"), nn.Linear)
