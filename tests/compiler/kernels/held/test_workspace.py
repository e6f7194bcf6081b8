"""Bytes of a PE: workspace against programs that run, skip FIFOs against their edges' depth."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.attention_stages import STAGES, attention_stages
from torch import Tensor, fx, nn
from weft.compiler.capture.capture import capture
from weft.compiler.kernels.held.workspace import storage, workspace_bytes
from weft.compiler.kernels.layout import find_layout
from weft.compiler.machine.tilings import Tilings
from weft.compiler.plan.program import Stage
from weft.compiler.plan.stage_record import Tiling
from weft.compiler.stages.coarsen import merge_modules
from weft.compiler.stages.cut import cut
from weft.compiler.stages.group import assign

ONE_PE = Tilings.of(Tiling(1, 1, 1))
ROOMY = 1 << 30
"""Bytes of a PE that needs no turns."""


class Watched(fx.Interpreter):
    """Runs a graph and watches which of its own tensors are alive, by their memory.

    `between` is the most bytes between two operators, `during` while one runs.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        end = next(iter(module.graph.find_nodes(op="output")))
        self.leaving = {storage(node) for node in end.all_input_nodes}
        self.alive: dict[int, tuple[weakref.ref, int]] = {}
        self.between = self.during = 0

    def run_node(self, n: fx.Node):
        self._forget()
        self.between = max(self.between, self._bytes())
        result = super().run_node(n)
        if n.op == "call_function" and storage(n)[0] is n:
            items = result if isinstance(result, tuple | list) else (result,)
            for number, item in enumerate(items):
                if isinstance(item, Tensor) and (n, number) not in self.leaving:
                    memory = item.untyped_storage()
                    self.alive[memory.data_ptr()] = weakref.ref(memory), memory.nbytes()
        self.during = max(self.during, self._bytes())
        return result

    def _forget(self) -> None:
        self.alive = {key: held for key, held in self.alive.items() if held[0]() is not None}

    def _bytes(self) -> int:
        return sum(size for _, size in self.alive.values())


def _run(module: fx.GraphModule) -> Watched:
    watched = Watched(module)
    arguments = [
        torch.ones(node.meta["val"].shape, dtype=node.meta["val"].dtype)
        for node in module.graph.nodes
        if node.op == "placeholder"
    ]
    watched.run(*arguments)
    return watched


def phases(stage: Stage):
    program, layout = stage.program, find_layout(stage.program)
    return (program.forward, layout, layout.forward), (program.backward, layout, layout.backward)


@pytest.mark.parametrize("name", STAGES)
def test_workspace_is_what_lives_while_a_phase_runs(name):
    """Not less than what is alive between operators; not more than while they run, with the
    operands, sums and vectors of the largest contraction."""
    distinct = {stage.program.key: stage for stage in STAGES[name]().stages}
    for stage in distinct.values():
        for module, layout, roles in phases(stage):
            (counted,) = workspace_bytes(module, ONE_PE, layout, roles, ROOMY, {})
            watched = _run(module)
            assert watched.between <= counted <= watched.during + product_bytes(module)


def product_bytes(module: fx.GraphModule) -> int:
    """All operands and results of the largest node, and vectors: more than a product holds."""
    sizes = [
        3 * sum(other.meta["val"].nbytes for other in node.all_input_nodes)
        + 3 * sum(t.nbytes for t in _tensors(node))
        for node in module.graph.nodes
        if any(word in str(node.target) for word in ("mm", "convolution"))
    ]
    return max(sizes, default=0)


def _tensors(node: fx.Node) -> list[Tensor]:
    value = node.meta["val"]
    return [t for t in (value if isinstance(value, tuple | list) else (value,)) if t is not None]


def test_workspace_of_two_layers_by_hand():
    """tanh(x W) V of one stage on one PE: in the forward h = x W is made (3 x 5), tanh writes over
    it and is saved, so its bytes are the FIFO's; the second product's sums leave as outputs."""

    net = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 2, bias=False))
    model = nn.ModuleDict({"net": net})
    model.forward = net.forward  # type: ignore[method-assign]
    graph = capture(model, (torch.zeros(1, 3, 4), torch.zeros(1, 3, 2)), F.mse_loss)
    stage = cut(graph, merge_modules(assign(graph), globs=("net",))).stages[0]
    (forward, layout, roles), _ = phases(stage)
    (counted,) = workspace_bytes(forward, ONE_PE, layout, roles, ROOMY, {})
    made, side, vectors = 3 * 5, max(3 * 4, 3 * 5), 2 * 3
    assert counted == 4 * (made + side + vectors)


def test_a_small_memory_holds_one_side_of_a_product_turn_by_turn():
    """(3 x 4) x (4 x 5): operands of 48 bytes, sums of 60. A side of 60 bytes has room for either,
    of 59 for the operands only; of 15 for neither, so the operands come in turns, of one position
    each. Two vectors of the other side, of 3 positions or 1, come on top."""
    linear = nn.Linear(4, 5, bias=False)
    graph = capture(linear, (torch.zeros(1, 3, 4), torch.zeros(1, 3, 5)), F.mse_loss)
    (forward, layout, roles), _ = phases(cut(graph).stages[0])
    for side, counted in ((60, 15 + 2 * 3), (59, 12 + 2 * 3), (15, 4 + 2 * 1)):
        assert workspace_bytes(forward, ONE_PE, layout, roles, side, {}) == 4 * counted


def test_more_pes_never_need_more_workspace_each():
    tilings = Tilings.in_blocks(
        *(np.array(axis) for axis in ([1, 2, 2, 2], [1, 1, 2, 2], [1, 1, 1, 4]))
    )
    for stage in attention_stages(True, False).stages:
        for module, layout, roles in phases(stage):
            counted = workspace_bytes(module, tilings, layout, roles, ROOMY, {})
            assert (np.diff(counted) <= 0).all()


def test_samples_on_a_skip_edge_move_one_stage_per_tick():
    """Sample i leaves stage a at tick i + a and is needed by stage b at tick i + b: at any tick
    between, each stage on the way holds exactly one sample."""
    source, sink = 1, 5
    for tick in range(20, 24):
        at = [sample for sample in range(40) if source < tick - sample < sink]
        assert sorted(tick - sample for sample in at) == list(range(source + 1, sink))
