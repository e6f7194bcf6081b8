"""Arrays are fetched when they are asked for, and changes are noted."""

from __future__ import annotations

from weft.runtime.jax.lazy_arrays import Fetched


def test_only_what_is_asked_for_is_fetched() -> None:
    fetched: list[int] = []

    def fetch(place: int) -> int:
        fetched.append(place)
        return 10 * place

    arrays = Fetched({"a": 1, "b": {"x": 2, "y": 3}}, fetch)
    assert (list(arrays), len(arrays)) == (["a", "b"], 2)
    assert fetched == []
    assert arrays["b"] == {"x": 20, "y": 30}
    assert fetched == [2, 3]


def test_changes_are_told_with_their_places_and_leave_the_first_as_it_was() -> None:
    before = Fetched({"a": 1, "b": {"x": 2, "y": 3}}, lambda place: 10 * place)
    after = before | {"a": 5} | {"b": {"x": 6, "y": 7}}
    assert (after["a"], before["a"]) == (5, 10)
    assert list(after.changed()) == [(1, 5), (2, 6), (3, 7)]
    assert list(before.changed()) == []
