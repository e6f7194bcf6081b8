"""The README's own commands, run as a reader would run them, in an empty directory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
WEFT = Path(sys.executable).parent / "weft"


def _blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def test_commands_run(tmp_path):
    for block in _blocks("python"):
        name = block.partition("\n")[0].removeprefix("# ")
        if name.endswith(".py"):
            (tmp_path / name).write_text(block)
    subprocess.run([sys.executable, "my_data.py"], cwd=tmp_path, check=True)
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    commands = [line.split() for line in lines if line.startswith("weft ")]
    assert len(commands) >= 5
    for command in commands:
        done = subprocess.run([WEFT, *command[1:]], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout.strip()


def test_make_targets_exist():
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    targets = [line.split()[1] for line in lines if line.startswith("make ")]
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_python_example_runs(tmp_path):
    example, fragment = (block for block in _blocks("python") if not block.startswith("# my_"))
    assert "torch.compile" in fragment
    done = subprocess.run(
        [sys.executable, "-c", example + fragment], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    of_weft, of_torch = done.stdout.split("Sequential on")
    assert "34 stages" in of_weft
    assert 0 < float(of_weft.split()[-1]) <= 1
    assert "stages" in of_torch


@pytest.mark.parametrize("page", ["README.md", *sorted(p.name for p in (ROOT / "docs").iterdir())])
def test_links_lead_somewhere(page):
    folder = ROOT if page == "README.md" else ROOT / "docs"
    for link in _links(folder / page):
        file, _, section = link.partition("#")
        target = folder / (file or page)
        assert target.exists(), link
        assert not section or section in _sections(target), link


def _links(page: Path) -> list[str]:
    """Those of a page that lead to files of the repository, with their sections."""
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if ":" not in link]


def _sections(page: Path) -> set[str]:
    """What a link to a section of a page may be, made of its titles as GitHub does it."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_page_can_be_reached_from_the_readme():
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            ahead += [(page.parent / link.partition("#")[0]).resolve() for link in _links(page)
                      if link.partition("#")[0].endswith(".md")]  # fmt: skip
    pages = set((ROOT / "docs").glob("*.md"))
    assert pages == {page for page in reached if page.parent.name == "docs"}


def test_every_verb_is_in_the_table():
    listed = subprocess.run([WEFT, "--help"], capture_output=True, text=True, check=True).stdout
    verbs = re.findall(r"^│ (\w+) ", listed, re.MULTILINE)
    readme = (ROOT / "README.md").read_text()
    assert len(verbs) > 8
    for verb in verbs:
        assert f"`weft {verb}" in readme or f"`{verb}`" in readme, verb
