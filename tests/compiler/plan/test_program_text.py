from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from helpers.small_models import Attention, Branches
from weft.backend.errors import PlanFileError
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program_text import graph_from_data, graph_to_data, program_key
from weft.compiler.stages.cut import cut

LABEL = torch.tensor([3])


@pytest.fixture(scope="module")
def programs():
    tokens = torch.zeros(1, 6, dtype=torch.int64)
    samples = [(Branches(), (torch.zeros(1, 2, 8, 8), LABEL)), (Attention(), (tokens, tokens))]
    stages = [cut(capture(model, sample, F.cross_entropy)).stages for model, sample in samples]
    return [stage.program for group in stages for stage in group]


def _values(graph):
    """Deterministic inputs in the range of every operator's indices."""
    generator = torch.Generator().manual_seed(0)
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            value = node.meta["val"]
            if value.dtype.is_floating_point:
                yield torch.rand(value.shape, generator=generator, dtype=value.dtype)
            else:
                yield torch.zeros(value.shape, dtype=value.dtype)


def test_graphs_survive_the_trip_through_json(programs):
    for program in programs:
        for graph in (program.forward, program.backward):
            data = json.loads(json.dumps(graph_to_data(graph)))
            again = graph_from_data(data, "test")
            assert graph_to_data(again) == graph_to_data(graph)
            inputs = list(_values(graph))
            for ours, theirs in zip(again(*inputs), graph(*inputs), strict=True):
                assert torch.equal(ours, theirs)


def test_key_depends_on_structure_not_on_names(programs):
    for program in programs:
        forward = graph_from_data(graph_to_data(program.forward), "test")
        backward = graph_from_data(graph_to_data(program.backward), "test")
        assert program_key(forward, backward) == program.key


@pytest.mark.parametrize(
    "call",
    ["os.system.default", "builtins.eval.default", "aten.add", "aten.nothing.default", "aten..x"],
)
def test_only_known_operators_are_loaded(call):
    data = {
        "inputs": [],
        "calls": [{"call": call, "args": ["true"], "kwargs": {}, "gives": None}],
        "outputs": [],
    }
    with pytest.raises(PlanFileError, match=r"stage\.json"):
        graph_from_data(data, "stage.json")


@pytest.mark.parametrize(
    "break_it",
    [
        lambda d: d.pop("calls"),
        lambda d: d["outputs"].append(10_000),
        lambda d: d["calls"][0].update(args=[{"node": 999}]),
        lambda d: d["calls"][0].update(args=[{"dtype": "load"}]),
        lambda d: d["inputs"][0].update(dtype="Tensor"),
        lambda d: d["inputs"][0].update(shape="x"),
    ],
)
def test_malformed_graphs_are_refused_by_name(programs, break_it):
    data = json.loads(json.dumps(graph_to_data(programs[0].forward)))
    break_it(data)
    with pytest.raises(PlanFileError, match=r"stage\.json"):
        graph_from_data(data, "stage.json")
