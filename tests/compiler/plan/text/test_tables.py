"""Tables of records: what is folded unfolds to the same, and a damaged table is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from weft.compiler.plan.codec import DataError, from_data, to_data
from weft.compiler.plan.document import PlanDocument, TensorRecord
from weft.compiler.plan.files import document_text
from weft.compiler.plan.text.regions import unfold_plan
from weft.compiler.plan.text.tables import fold, unfold


@dataclass(frozen=True)
class _Row:
    name: str
    shape: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]
    value: float | bool | str
    count: int | None


@dataclass(frozen=True)
class _Group:
    title: str
    rows: tuple[_Row, ...]


@dataclass(frozen=True)
class _Page:
    number: int
    title: str


@dataclass(frozen=True)
class _Book:
    page: _Page
    groups: tuple[_Group, ...]
    rows: tuple[_Row, ...]


_TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        "",
        "null",
        "1",
        "true",
        "a b",
        '"',
        '"a',
        "\\",
        "a\\",
        "#",
        "|",
        "a\nb",
        "\x85",
        "\u2028x",
        "é",
    ]
)
_PAIRS = st.lists(st.tuples(st.integers(), st.integers()), max_size=3).map(tuple)
_ROWS = st.lists(
    st.builds(
        _Row,
        _TEXTS,
        st.lists(st.integers(), max_size=3).map(tuple),
        _PAIRS,
        st.floats(allow_nan=False) | st.booleans() | _TEXTS,
        st.none() | st.integers(),
    ),
    max_size=3,
).map(tuple)
_PAGES = st.builds(_Page, st.integers(), _TEXTS)
_GROUPS = st.lists(st.builds(_Group, _TEXTS, _ROWS), max_size=2).map(tuple)
_BOOKS = st.builds(_Book, _PAGES, _GROUPS, _ROWS)


@settings(max_examples=150, deadline=None)
@given(_BOOKS)
def test_records_survive_tables_and_yaml(book: _Book) -> None:
    text = yaml.dump(_strings(fold(_Book, to_data(book))), Dumper=yaml.CSafeDumper)
    data = unfold(_Book, yaml.load(text, yaml.CSafeLoader), "book")
    assert data == to_data(book)
    assert from_data(_Book, data) == book


_TENSORS = st.builds(TensorRecord, _TEXTS, st.lists(st.integers(0), max_size=3).map(tuple), _TEXTS)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tensors=st.lists(_TENSORS, max_size=3).map(tuple), odd=_TEXTS)
def test_any_names_survive_the_file(
    document: PlanDocument, tensors: tuple[TensorRecord, ...], odd: str
) -> None:
    written = replace(document, model=odd, state=tensors, masks=(odd, odd), files={odd: odd})
    data = yaml.safe_load(document_text(written))
    assert from_data(PlanDocument, unfold_plan(data)) == written


def test_columns_and_records_may_be_moved(document: PlanDocument) -> None:
    data = yaml.safe_load(document_text(document))
    reverse = [" ".join(reversed(line.split())) for line in data["edges"].splitlines()]
    data["edges"] = "\n".join([reverse[0], *reversed(reverse[1:])])
    edges = from_data(PlanDocument, unfold_plan(data)).edges
    assert edges == document.edges[::-1]


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ("name name\na b", r"book\.rows: a field twice: name name"),
        (None, r"book\.rows: expected a table, got NoneType"),
        ([], r"book\.rows: expected a table, got list"),
        ("name shape\na", r"book\.rows: expected 2 cells, got 1: a"),
        ("name shape\na [1", r"book\.rows: "),
        ('name shape\n"a [1]', r"book\.rows: "),
        ("name shape\na [1],[2", r"book\.rows: "),
        ("name shape\na [1]", r"_Book\.rows\[0\]\.ends: missing"),
        ("name shape ends value count more\na [1] [] 1 2 3", r"rows\[0\]: missing fields \[\]"),
        ("name shape ends value count\na [1.5] [] 1 2", r"rows\[0\]\.shape\[0\]: expected"),
        ("name shape ends value count\na [1] [[1]] 1 2", r"rows\[0\]\.ends\[0\]\[1\]: missing"),
    ],
)
def test_a_damaged_table_is_refused_by_name(table: Any, mistake: str) -> None:
    with pytest.raises(DataError, match=mistake):
        from_data(
            _Book, unfold(_Book, {"page": "number=1 title=x", "groups": [], "rows": table}, "book")
        )


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        (None, r"book\.page: expected a line name=value, got NoneType"),
        ({"number": 1, "title": "x"}, r"book\.page: expected a line name=value, got dict"),
        ("number=1 title", r"book\.page: expected name=value, got title"),
        ("number=1 title=", r"book\.page: expected name=value, got title"),
        ("number=1 number=2 title=x", r"book\.page: a field twice: number number title"),
        ("number=one title=x", r"book\.page: "),
        ("", r"_Book\.page\.number: missing"),
        ("number=1 title=x more=1", r"_Book\.page: missing fields \[\], unknown \['more'\]"),
    ],
)
def test_a_damaged_line_is_refused_by_name(line: Any, mistake: str) -> None:
    with pytest.raises(DataError, match=mistake):
        _book(line, "")


def test_an_empty_table_has_no_records() -> None:
    assert _book('number=1 title="a b"', "") == _Book(_Page(1, "a b"), (), ())


def _book(page: Any, rows: Any) -> _Book:
    return from_data(_Book, unfold(_Book, {"page": page, "groups": [], "rows": rows}, "book"))


def _strings(data: Any) -> Any:
    """Tables as plain strings, which any YAML writer can write."""
    if isinstance(data, str):
        return str(data)
    if isinstance(data, dict):
        return {key: _strings(value) for key, value in data.items()}
    return [_strings(item) for item in data] if isinstance(data, list) else data
