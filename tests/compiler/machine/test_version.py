"""Which model of the machine priced a plan."""

from __future__ import annotations

from weft.backend.version import VERSION
from weft.compiler.machine import version
from weft.compiler.machine.version import other_model, written_version


def test_a_plan_that_is_written_now_is_of_this_model():
    assert other_model(written_version()) is None
    assert written_version().partition("+")[0] == VERSION


def test_a_plan_of_changed_formulas_says_so(monkeypatch):
    then = written_version()
    monkeypatch.setattr(version, "model_digest", lambda: "01234567")
    said = other_model(then)
    assert said == f"of another model of the machine ({then[-8:]}; this one is 01234567)"


def test_a_plan_from_before_models_had_digests_says_so():
    assert "(older; " in (other_model("0.1.0") or "")
