"""Stages as the graph compiler sees them: functional programs and how they are wired.

    Graph --cut--> Stages          (this file holds the right-hand type)

A `StageProgram` is two functional ATen graphs (torch.fx). Nothing is hidden: weights, saved
activations, normalization state and gradients are all explicit inputs, so "which weight version
does the backward see" is only a choice of input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import networkx as nx
import torch
from torch import fx

from .document import HOST as HOST


@dataclass(frozen=True)
class TensorSpec:
    """Shape and dtype (a torch name such as 'float32') of one tensor."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.elements * getattr(torch, self.dtype).itemsize

    @property
    def torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.dtype)


@dataclass(frozen=True)
class Origin:
    """Where something comes from in the user's source."""

    module: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.module or '<model>'} ({self.file}:{self.line})" if self.file else self.module


@dataclass(frozen=True)
class StageProgram:
    """The forward and backward of one stage as functional graphs over explicit tensors.

    forward(*parameters, *forward_state, *inputs)
        -> (*outputs, *new_forward_state, *saved)
    backward(*parameters, *backward_state, *saved, *output_grads)
        -> (*parameter_grads, *input_grads, *new_backward_state)

    `parameter_grads` has one entry per parameter whose `trainable` is true; the others are frozen
    and never updated.
    `saved` is what the backward needs and does not depend on weights alone: values that are a
    function of the parameters are recomputed from the parameters the backward is given.
    `recomputed` is what the backward computes again from saved inputs instead of having it saved:
    it holds that much of one sample while it runs. Empty for a program that saves what it needs.
    `input_grads` has one entry per input whose `input_needs_grad` is true, in order; likewise
    `output_grads` has one per output whose `output_needs_grad` is true.
    Placeholders and nodes carry a FakeTensor in `node.meta["val"]` (a meta tensor, if read from a
    plan), and `node.meta["origin"]` (an `Origin`) where the node comes from a line of the model's
    source.
    """

    key: str
    forward: fx.GraphModule
    backward: fx.GraphModule
    parameters: tuple[TensorSpec, ...]
    forward_state: tuple[TensorSpec, ...]
    backward_state: tuple[TensorSpec, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    saved: tuple[TensorSpec, ...]
    recomputed: tuple[TensorSpec, ...]
    input_needs_grad: tuple[bool, ...]
    output_needs_grad: tuple[bool, ...]
    trainable: tuple[bool, ...]

    @property
    def recomputes(self) -> bool:
        """Whether the backward does the forward again."""
        return bool(self.recomputed)

    @property
    def saved_bytes(self) -> int:
        return sum(spec.size_bytes for spec in self.saved)


@dataclass(frozen=True)
class Source:
    """Where a stage input comes from: output `output` of stage `stage`, or of the HOST."""

    stage: int
    output: int


Places = Mapping[Origin, Origin]
"""Where the nodes of a shared program come from -> where a stage that shares it has them from."""


@dataclass(frozen=True)
class Stage:
    """One pipeline stage: a (shared) program bound to the model's own tensors by name.

    The program's nodes name the places of the first stage that has it; see `origin_of`.
    """

    index: int
    name: str
    origin: Origin
    program: StageProgram
    parameters: tuple[str, ...]
    forward_state: tuple[str, ...]
    backward_state: tuple[str, ...]
    inputs: tuple[Source, ...]
    places: Places = field(default_factory=dict)

    def origin_of(self, node: fx.Node) -> Origin | None:
        """Where a node of the program comes from in this stage."""
        origin = node.meta.get("origin")
        return self.places.get(origin, origin) if isinstance(origin, Origin) else None

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all tensors of the model that the stage holds."""
        return (*self.parameters, *self.forward_state, *self.backward_state)


@dataclass(frozen=True)
class Stages:
    """All stages in pipeline order, S = len(stages). `loss` is a scalar output of the last one."""

    stages: tuple[Stage, ...]
    model_inputs: tuple[TensorSpec, ...]
    loss: Source
    predictions: tuple[Source, ...]

    def __len__(self) -> int:
        return len(self.stages)

    def delay(self, index: int) -> int:
        """Updates between the forward and the backward of one sample at stage `index`."""
        return 2 * (len(self.stages) - 1 - index)

    @cached_property
    def dag(self) -> nx.DiGraph:
        """Stage indices (and HOST) as nodes; edge data `outputs`: the producer's output numbers."""
        graph = nx.DiGraph()
        graph.add_nodes_from(stage.index for stage in self.stages)
        for stage in self.stages:
            for source in stage.inputs:
                if not graph.has_edge(source.stage, stage.index):
                    graph.add_edge(source.stage, stage.index, outputs=())
                edge = graph.edges[source.stage, stage.index]
                edge["outputs"] = tuple(sorted({*edge["outputs"], source.output}))
        return graph
