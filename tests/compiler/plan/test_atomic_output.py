from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.compiler.plan.atomic_output import staged, staged_file

NAMES = frozenset({"report.html", "plan"})


def test_the_directory_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with staged(target, NAMES) as scratch:
        (scratch / "report.html").write_text("new")
        assert not target.exists()
    assert (target / "report.html").read_text() == "new"
    assert [entry.name for entry in target.parent.iterdir()] == ["out"]


def test_an_earlier_output_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for name in ("plan", "report.html"):
        with staged(target, NAMES) as scratch:
            (scratch / name).write_text(name)
    assert [entry.name for entry in target.iterdir()] == ["report.html"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_failure_leaves_what_was_there(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "out"
    with staged(target, NAMES) as scratch:
        (scratch / "report.html").write_text("old")
    with pytest.raises(failure):
        _fail_halfway(target, failure)
    assert (target / "report.html").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_directory_of_someone_else_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match=r"thesis\.tex"), staged(tmp_path, NAMES):
        pytest.fail("the block must not run")
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("precious")
    with pytest.raises(UserError, match="a file"), staged(file, NAMES):
        pytest.fail("the block must not run")
    assert file.read_text() == "precious"


def _fail_halfway(target: Path, failure: type[BaseException]) -> None:
    with staged(target, NAMES) as scratch:
        (scratch / "report.html").write_text("half")
        raise failure


def test_a_file_appears_whole_and_an_earlier_one_is_kept_till_then(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with staged_file(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(KeyboardInterrupt):
        _fail_in_a_file(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text() == "new"


def _fail_in_a_file(path: Path) -> None:
    with staged_file(path) as file:
        file.write("half")
        raise KeyboardInterrupt


def test_a_file_in_no_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"), staged_file(tmp_path / "none" / "x.json"):
        pytest.fail("nothing can be written there")
