"""The files of a plan directory, their hashes, and plan.yaml as a document. Needs no torch.

Every file's SHA-256 is in plan.yaml, whose own is in plan.sha256; a missing or altered file is
refused by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError

from ...backend.errors import PlanFileError, UserError
from .codec import from_data, to_data
from .document import FORMAT_VERSION, PlanDocument
from .text.regions import fold_plan, unfold_plan
from .text.tables import Table

PLAN_FILE = "plan.yaml"
WEIGHTS_FILE = "weights.safetensors"
SEAL_FILE = "plan.sha256"
"""The hash of plan.yaml, as `sha256sum -c` reads it."""
PLAN_NAMES = frozenset({PLAN_FILE, WEIGHTS_FILE, SEAL_FILE, "stages"})
"""What a plan directory holds."""

_WIDTH = 100
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _PlanDumper(_DUMPER):
    """Writes tables as blocks, lists of scalars on a line, the rest line by line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_table(self, data: Table) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", str(data), style="|")

    def represent_items(self, data: list[Any]) -> yaml.Node:
        is_flat = not any(isinstance(value, dict) for value in data)
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=is_flat)


_PlanDumper.add_representer(Table, _PlanDumper.represent_table)
_PlanDumper.add_representer(list, _PlanDumper.represent_items)


def load_document(directory: str | Path, *, allow_edited: bool = False) -> PlanDocument:
    """What a whole plan says: enough to show, diff and simulate it.

    `allow_edited` reads a plan.yaml that was changed by hand, too. Raises PlanFileError naming the
    file that is missing, altered, or of another format version.
    """
    document = sealed_document(directory, allow_edited=allow_edited)
    for name, digest in document.files.items():
        path = _present(Path(directory), name)
        with path.open("rb") as file:
            _compare(path, hashlib.file_digest(file, "sha256").hexdigest(), digest)
    return document


def check_present(directory: Path) -> None:
    """Raises PlanFileError where there is no plan.yaml; what is in it is not looked at."""
    path = directory / PLAN_FILE
    if not path.is_file():
        raise PlanFileError(
            str(path),
            expected="a plan directory with a plan.yaml",
            got="no such file",
            change="give the directory that `weft compile -o DIR` wrote",
        )


def as_document(given: object) -> PlanDocument:
    """What a plan says: of a whole plan, of a document itself, or of the directory of a plan.

    Raises PlanFileError for a directory without one, UserError for anything that is no plan.
    """
    if isinstance(given, str | Path):
        return load_document(given)
    document = getattr(given, "document", given)
    if not isinstance(document, PlanDocument):
        raise no_plan(given)
    return document


def no_plan(given: object) -> UserError:
    """The error of something else than a plan."""
    return UserError(
        "plan",
        expected="what weft.compile or weft.load returns, or the directory of a plan",
        got=f"a {type(given).__name__}",
        change="compile the model first: weft.compile(model, example_inputs, loss)",
    )


def sealed_document(directory: str | Path, *, allow_edited: bool = False) -> PlanDocument:
    """plan.yaml alone, as `load_document` reads it, the other files not looked at."""
    directory = Path(directory)
    path = directory / PLAN_FILE
    check_present(directory)
    if not allow_edited and is_edited(directory):
        raise _edited(directory)
    with reading(path):
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
        _check_version(path, data)
        return from_data(PlanDocument, unfold_plan(data))


def document_text(document: PlanDocument) -> str:
    """plan.yaml of a plan."""
    data = fold_plan(to_data(document))
    return yaml.dump(data, Dumper=_PlanDumper, sort_keys=False, width=_WIDTH)


def is_edited(directory: str | Path) -> bool:
    """Whether plan.yaml is there but not what weft wrote."""
    plan, seal = Path(directory) / PLAN_FILE, Path(directory) / SEAL_FILE
    if not plan.is_file():
        return False
    return not seal.is_file() or seal.read_bytes() != _seal(plan.read_bytes())


def accept(directory: str | Path) -> None:
    """Take plan.yaml as it is for what weft wrote."""
    content = (Path(directory) / PLAN_FILE).read_bytes()
    (Path(directory) / SEAL_FILE).write_bytes(_seal(content))


def verified(directory: Path, name: str, digest: str | None) -> bytes:
    """The content of the file `name`. Raises PlanFileError if its SHA-256 is not `digest`."""
    if digest is None:
        raise _altered(directory / PLAN_FILE, f"no hash of {name}")
    path = _present(directory, name)
    data = path.read_bytes()
    _compare(path, hashlib.sha256(data).hexdigest(), digest)
    return data


def _present(directory: Path, name: str) -> Path:
    path = directory / name
    if path.is_file():
        return path
    raise PlanFileError(
        str(path),
        expected="a file the plan lists",
        got="no such file",
        change="restore it, or compile the model again",
    )


def _compare(path: Path, found: str, digest: str) -> None:
    if found != digest:
        raise _altered(path, "content that differs from the hash in plan.yaml")


_UNREADABLE = (
    *(AttributeError, LookupError, MemoryError, OverflowError, RecursionError, RuntimeError),
    *(TypeError, ValueError, SafetensorError, yaml.YAMLError),
)
"""What comes out of a reader of text, JSON, YAML or tensors that are not what weft wrote."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong in reading `path` is that the file is not as weft wrote it."""
    try:
        yield
    except _UNREADABLE as error:
        text = " ".join(str(error).split())
        raise _altered(
            path, f"{text[:300]}{'...' * (len(text) > 300)} ({type(error).__name__})"
        ) from error


def _seal(content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {PLAN_FILE}\n".encode()


def _edited(directory: Path) -> PlanFileError:
    return PlanFileError(
        str(directory / PLAN_FILE),
        expected=f"the file as weft wrote it, with the hash in {SEAL_FILE}",
        got="other content, or no hash",
        change="compile the model again; if you edited it on purpose: weft check"
        f" {directory} --accept",
    )


def _check_version(path: Path, data: Any) -> None:
    if isinstance(data, dict) and data.get("format") == FORMAT_VERSION:
        return
    got = "no plan at all"
    if isinstance(data, dict):
        got = f"format {data.get('format')!r}, written by weft {data.get('weft_version')}"
    raise PlanFileError(
        str(path),
        expected=f"plan format {FORMAT_VERSION}",
        got=got,
        change="compile the model again with this version of weft",
    )


def _altered(path: Path, got: str) -> PlanFileError:
    return PlanFileError(
        str(path),
        expected="the file as weft wrote it",
        got=got,
        change="compile the model again; plan files are not meant to be edited",
    )
