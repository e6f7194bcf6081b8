"""A forward that reads what the last call left in Python attributes is refused."""

from __future__ import annotations

import functools
import itertools
import os
from collections import UserDict, deque

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.sample import OneSample
from weft.compiler.witness.second_call import Kept
from weft.nn import OnlineNorm


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.kept, self.calls, self.last = nn.Linear(4, 6), [], 0, None

    def forward(self, x):
        return self.read(torch.tanh(self.layer(x))).sum()


class Previous(Layer):
    def read(self, h):
        read, self.last = h if self.last is None else h + self.last, h.detach()
        return read


class Growing(Layer):
    def read(self, h):
        self.kept.append(h.detach())
        return sum(self.kept) * h


class Count(Layer):
    def read(self, h):
        self.calls += 1
        return h / self.calls


class Told(Layer):
    """Keeps things for others to look at."""

    def read(self, h):
        self.calls += 1
        self.kept.append(h.detach())
        self.last = h
        return h


class Buffer(Layer):
    def __init__(self):
        super().__init__()
        self.register_buffer("state", torch.zeros(6))

    def read(self, h):
        self.calls += 1
        read = h + self.state
        self.state = h.detach()[0]
        return read


class Table(Layer):
    """Made for the shapes of the first call: from numbers, from the sample, or from draws."""

    def __init__(self, make):
        super().__init__()
        self.make = make
        self.register_buffer("table", torch.zeros(1))

    def read(self, h):
        if self.table.shape != h.shape[1:]:
            self.table = self.make(h)
        return h * self.table


def counted(h):
    table = torch.zeros(h.shape[1:])
    table[2:] = torch.arange(h.shape[1] - 2.0)
    return table


@pytest.mark.parametrize(
    "make",
    [lambda h: h.detach()[0].clone(), lambda h: torch.rand(6), lambda h: counted(h) + h[0, 0]],
)
def test_a_buffer_of_the_first_sample_is_refused(make):
    with pytest.raises(UnsupportedError, match="buffer table"):
        weft.compile(Table(make), (torch.randn(1, 4),))


def test_a_buffer_made_of_numbers_in_the_first_call_is_made_for_each_sample():
    model = Table(counted)
    assert weft.compile(model, (torch.randn(1, 4),)).document.witness == "float64"
    assert model.table.shape == (1,)


class Box:
    calls = 0

    def __init__(self):
        self.line, self.left = deque(maxlen=8), [1.0] * 8
        self.deep = {"a": {"b": [{"c": 0}]}}


class Slots:
    __slots__ = ("calls",)

    def __init__(self):
        self.calls = 0


class ByClass(Layer):
    count = 0

    def read(self, h):
        ByClass.count += 1
        return h * 2 if ByClass.count > 40 else h


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.strength * gradient, None


class Scheduled(Layer):
    """Does `schedule(self, h)`, which counts in a place of its own."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule, self.box, self.table = schedule, Box(), {"calls": 0}
        self.numbers, self.array = itertools.count(1), np.zeros(1)
        self.functions, self.slots = (*[torch.sin] * 7, torch.cos), Slots()

    def read(self, h):
        return self.schedule(self, h)


CALLS = [0]


def _attribute(model, h):
    model.calls += 1
    return h * 2 if model.calls >= 3 else h


def _warm_up(model, h):
    model.calls += 1
    return h * min(1.0, model.calls / 100) if model.calls > 50 else h


def _object(model, h):
    model.box.calls += 1
    return h * 2 if model.box.calls > 500 else h


def _entry(model, h):
    model.table["calls"] += 1
    return h * 2 if model.table["calls"] > 5 else h


def _global(model, h):
    CALLS[0] += 1
    return h * 2 if CALLS[0] > 90 else h


def _iterator(model, h):
    return h * 2 if next(model.numbers) > 4 else h


def _of_gradients(model, h):
    model.calls += 1
    return Reversed.apply(h, model.calls / 10)


def _at_once(model, h):
    model.calls += 1
    return h * 2 if model.calls == 37 else h


def _in_between(model, h):
    model.calls += 1
    return h * 2 if 1100 <= model.calls < 1900 else h


def _looked_up(model, h):
    model.calls += 1
    return h * 2 if model.calls in {777, 888} else h


def _behind_a_flag(model, h):
    model.calls += 1
    if model.calls == 37:
        model.last = "late"
    return h if model.last is None else h * 2


def _long(model, h):
    model.kept.append(None)
    return h * 2 if len(model.kept) > 9 else h


def _full(model, h):
    model.box.line.append(0)
    return h * 2 if len(model.box.line) == 8 else h


def _used_up(model, h):
    return h * (model.box.left.pop() if model.box.left else 2.0)


def _of_the_first_sample(model, h):
    model.kept.append(h.detach())
    return h + model.kept[0]


def _of_the_last_samples(model, h):
    model.box.line.append(h.detach())
    return h + sum(model.box.line) / len(model.box.line)


def _named(model, h):
    model.last = (model.last or "") + "x"
    return h * 2 if len(model.last) > 9 else h


def _array(model, h):
    model.array += 1
    return h * 2 if model.array[0] > 9 else h


def _in_turn(model, h):
    model.functions = (*model.functions[1:], model.functions[0])
    return model.functions[0](h)


def _deep(model, h):
    model.box.deep["a"]["b"][0]["c"] += 1
    return h * 2 if model.box.deep["a"]["b"][0]["c"] > 9 else h


def _in_slots(model, h):
    model.slots.calls += 1
    return h * 2 if model.slots.calls > 9 else h


def _of_a_function(model, h, own={"seen": 0}):  # noqa: B006 - it counts
    own["seen"] += 1
    return h * 2 if own["seen"] > 9 else h


SCHEDULES = {
    "calls": _attribute,
    "calls ": _warm_up,
    "box.calls": _object,
    "table.calls": _entry,
    "CALLS.0": _global,
    "numbers": _iterator,
    " calls": _of_gradients,
    "calls  ": _at_once,
    "  calls": _in_between,
    " calls ": _looked_up,
    "calls, |calls": _behind_a_flag,
    "kept": _long,
    "box.line": _full,
    "box.left": _used_up,
    "kept.0": _of_the_first_sample,
    "box.line.0": _of_the_last_samples,
    "last": _named,
    "array": _array,
    "functions": _in_turn,
    "box.deep.a.b.0.c": _deep,
    "slots.calls": _in_slots,
    "_of_a_function.0.seen": _of_a_function,
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_count_that_shows_after_many_calls_is_refused(name):
    with pytest.raises(UnsupportedError, match=rf"attribute .*{name.strip()}"):
        weft.compile(Scheduled(SCHEDULES[name]), (torch.randn(1, 4),))


def _reported(model, h):
    model.calls += 1
    if model.calls % 100 == 0 or model.calls in (3, 5):
        model.kept.append(f"after {model.calls} calls {h.shape}")
    return h


def _filed(model, h):
    model.calls += 1
    model.table[model.calls] = h.detach()
    model.last = {"shape": h.shape, "values": [h, h.detach()]}
    return h


def _made_once(model, h):
    if model.last is None:
        model.last = torch.arange(6.0)
    return h * model.last


@pytest.mark.parametrize("schedule", [_reported, _filed, _made_once])
def test_what_the_results_do_not_depend_on_compiles_and_is_left_as_it_was(schedule):
    model = Scheduled(schedule)
    assert weft.compile(model, (torch.randn(1, 4),)).document.witness == "float64"
    assert (model.calls, model.kept, model.last, model.table) == (0, [], None, {"calls": 0})


def test_objects_and_what_functions_read_are_as_before_a_refusal():
    model = Scheduled(_of_the_last_samples)
    with pytest.raises(UnsupportedError):
        weft.compile(model, (torch.randn(1, 4),))
    assert not model.box.line


def test_a_count_of_a_class_is_refused_and_left_as_it_was():
    with pytest.raises(UnsupportedError, match=r"ByClass.count.*\n.*\n.*call"):
        weft.compile(ByClass(), (torch.randn(1, 4),))
    assert ByClass.count < 10


def _closure():
    calls = 0

    def loss(prediction, target):
        nonlocal calls
        calls += 1
        return F.mse_loss(prediction, target) / calls

    return loss


class Annealed:
    def __init__(self):
        self.calls = 0

    def __call__(self, prediction, target):
        self.calls += 1
        return F.mse_loss(prediction, target) * (0.5 if self.calls > 100 else 1.0)


@pytest.mark.parametrize("loss", [_closure(), Annealed()])
def test_a_loss_that_counts_is_refused(loss):
    with pytest.raises(UnsupportedError, match=r"attribute .*calls"):
        weft.compile(nn.Linear(4, 3), (torch.randn(1, 4), torch.randn(1, 3)), loss)


def test_a_hook_that_counts_is_refused():
    model, calls = Layer(), [0]
    model.read = lambda h: h

    def hook(gradient):
        calls[0] += 1
        return gradient * calls[0]

    model.layer.weight.register_hook(hook)
    with pytest.raises(UnsupportedError, match=r"attribute calls\.0"):
        weft.compile(model, (torch.randn(1, 4),))


class OwnGenerator(Layer):
    def __init__(self):
        super().__init__()
        self.draws = np.random.default_rng(0)

    def read(self, h):
        return h * float(self.draws.random())


def test_a_model_that_is_another_each_time_is_refused():
    with pytest.raises(UnsupportedError, match="another one in a second call"):
        weft.compile(OwnGenerator(), (torch.randn(1, 4),))


class Environment(Layer):
    """Counts its calls in the process's environment."""

    def read(self, h):
        calls = int(os.environ.get("CALLS_OF_A_TEST", "0"))
        os.environ["CALLS_OF_A_TEST"] = str(calls + 1)
        return h * (2 if calls > 100 else 1)


def test_a_count_in_the_environment_is_refused():
    with pytest.raises(UnsupportedError, match=r"os.environ[\s\S]*CALLS_OF_A_TEST"):
        weft.compile(Environment(), (torch.randn(1, 4),))
    assert "CALLS_OF_A_TEST" not in os.environ


@functools.lru_cache
def _numbered(count):
    return torch.arange(float(count))


class Cached(Layer):
    def read(self, h):
        return h * _numbered(6)


def test_a_cached_function_keeps_no_tensor_of_the_trace():
    assert weft.compile(Cached(), (torch.randn(1, 4),)).document.witness == "float64"
    assert type(_numbered(6)) is torch.Tensor
    assert _numbered(6).dtype is torch.float32


class Hoarding(Layer):
    def __init__(self, kept):
        super().__init__()
        self.read = lambda h: h * kept.setdefault("table", torch.arange(6.0))


def test_a_tensor_of_the_trace_that_is_kept_elsewhere_is_let_go():
    kept = {}
    assert weft.compile(Hoarding(kept), (torch.randn(1, 4),)).document.witness == "float64"
    assert not kept


def test_a_tensor_of_the_trace_that_is_kept_out_of_sight_is_refused():
    with pytest.raises(UnsupportedError, match="register_buffer"):
        weft.compile(Hoarding(UserDict()), (torch.randn(1, 4),))


@pytest.mark.parametrize(
    ("model", "name"), [(Previous, "last"), (Growing, "kept"), (Count, "calls")]
)
def test_what_one_call_leaves_for_the_next_is_refused(model, name):
    with pytest.raises(UnsupportedError, match=rf"attribute .*{name}[\s\S]*register_buffer"):
        weft.compile(model(), (torch.randn(1, 4),))


def test_what_online_normalization_keeps_for_recomputing_asks_for_no_other_call():
    sample = OneSample(nn.Sequential(nn.Linear(4, 6), OnlineNorm(6)), lambda y, _: y.sum())
    kept = Kept(sample)
    sample(torch.randn(1, 4), torch.zeros(1))
    kept.note_changes()
    assert kept.left == ()


@pytest.mark.parametrize("model", [Told, Buffer])
def test_what_is_only_kept_compiles(model):
    made = model()
    assert weft.compile(made, (torch.randn(1, 4),)).document.witness == "float64"
    assert (made.calls, made.kept, made.last) == (0, [], None)
