"""A forward that reads the clock: it must not decide what is computed."""

from __future__ import annotations

import datetime
import importlib
import sys
import time
from collections import UserList
from datetime import datetime as moment
from time import perf_counter

import pytest
import torch
from helpers.guarded import net
from weft.backend.errors import UserError
from weft.compiler.capture.capture import capture
from weft.compiler.capture.sample import OneSample
from weft.compiler.stages.cut import cut
from weft.compiler.witness.witness import Witness

SAMPLE = (torch.tensor([[0.5, -1.0, 2.0, 0.1]]),)


class Summed(torch.nn.Module):
    def __init__(self, between):
        super().__init__()
        self.inner = net(between)

    def forward(self, x):
        return self.inner(x).square().sum()


def held(between):
    model = Summed(between)
    graph = capture(model, SAMPLE, None)
    return Witness(OneSample(model, None), SAMPLE, graph)(cut(graph))


def _inside(model, h):
    from time import monotonic_ns

    return h * (2 if monotonic_ns() % 2 else 3)


READ = {
    "a factor": lambda model, h: h * time.time(),
    "which branch": lambda model, h: h * (2 if int(time.time() * 1e6) % 2 else 3),
    "another name": lambda model, h: h * (2 if perf_counter() % 2 < 1 else 3),
    "imported inside": _inside,
    "the hour": lambda model, h: h * (1 + moment.now().hour),
    "the year": lambda model, h: h * (datetime.datetime.now(datetime.UTC).year - 2000),
    "the day": lambda model, h: h * datetime.date.today().day,
}


@pytest.mark.parametrize("name", READ)
def test_a_clock_that_decides(name):
    with pytest.raises(UserError, match=r"test_clock.py:\d+[\s\S]*the clock"):
        held(READ[name])


def _timed(model, h):
    start, day = perf_counter(), moment.now()
    h = h * 2
    model.took = perf_counter() - start + (moment.now() - day).total_seconds()
    return h


def test_a_clock_that_is_only_looked_at():
    functions = time.time, datetime.datetime, datetime.date, perf_counter, moment
    assert held(_timed).level == "float64"
    assert (time.time, datetime.datetime, datetime.date, perf_counter, moment) == functions


def test_a_moment_is_one_of_its_type():
    def between(model, h):
        is_moment = isinstance(moment(2020, 1, 1), datetime.datetime)
        return h * (2 if is_moment else 3)

    assert held(between).level == "float64"


class Counted(torch.nn.Module):
    """Calls `between` when a call is no trace; `calls` is how many there were."""

    def __init__(self, between):
        super().__init__()
        self.inner = net(_outside_of_traces(between))
        self.calls = UserList()

    def forward(self, x):
        self.calls.append(torch.compiler.is_exporting())
        return self.inner(x).square().sum()


def _outside_of_traces(between):
    return lambda model, h: h if torch.compiler.is_exporting() else between(h)


def _calls(between) -> int:
    model = Counted(between)
    graph = capture(model, SAMPLE, None)
    before = len(model.calls)
    assert Witness(OneSample(model, None), SAMPLE, graph)(cut(graph)).level == "float64"
    return len(model.calls) - before


@pytest.fixture
def began(tmp_path, monkeypatch):
    """A file that notes when it is first imported."""
    (tmp_path / "began_at_import.py").write_text("import time\n\nBEGAN = time.time()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "began_at_import"
    sys.modules.pop("began_at_import", None)


def test_a_file_that_is_imported_in_the_call_reads_the_clock_once(began):
    def between(h):
        importlib.import_module(began)
        return h

    assert _calls(between) == _calls(lambda h: h)


def test_a_file_that_is_run_in_every_call(began):
    def between(h):
        return h + (importlib.reload(importlib.import_module(began)).BEGAN > 0) * 0

    assert _calls(between) > _calls(lambda h: h)
