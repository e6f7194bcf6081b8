"""From a torch module to the answer of the simulator: time and memory, network by network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from weft.bench.models.case import Case
from weft.bench.networks import Network, measure_network


def perceptron() -> Case:
    label = torch.zeros(1, dtype=torch.long)
    return Case(nn.Linear(16, 4), (torch.zeros(1, 16), label), F.cross_entropy)


def test_a_network_is_timed_from_the_module_to_the_answer():
    rows = list(measure_network("perceptron", Network(perceptron, "tiny_mesh"), rounds=2))
    units = {row.what: row.unit for row in rows}
    assert units == {
        "imports": "s",
        "first, module to 1,000 samples": "s",
        "module to 1,000 samples": "s",
        "memory over imports": "MiB",
        "analytic, 1,000 samples": "s",
        "event, 1,000 samples": "s",
        "event, 100,000 samples": "s",
    }
    assert min(row.value for row in rows if row.unit == "s") > 0


def test_a_network_that_does_not_fit_says_so():
    def large() -> Case:
        label = torch.zeros(1, dtype=torch.long)
        return Case(nn.Linear(4000, 4000), (torch.zeros(1, 4000), label), F.cross_entropy)

    _, row = measure_network("large", Network(large, "tiny_mesh"), rounds=1)
    assert "does not fit" in row.note
