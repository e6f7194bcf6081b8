"""Stages as the graph compiler sees them: functional programs and how they are wired.

    Graph --cut--> Stages          (this file holds the right-hand type)

A `StageProgram` is two functional ATen graphs (torch.fx). Nothing is hidden: weights, saved
activations, normalization state and gradients are all explicit inputs, so "which weight version
does the backward see" is only a choice of input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from math import prod
from typing import Generic, NamedTuple, TypeVar

import networkx as nx
import torch
from torch import fx

from .document import HOST as HOST
from .stage_record import SLOTS_OFF_WAFER

Value = TypeVar("Value")
_STAGE_NUMBER, _LAST_NUMBER = re.compile(r"^s\d+:"), re.compile(r"_\d+$")


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

    @property
    def host_dtype(self) -> str:
        """The type that numpy holds it in: it has no bfloat16."""
        return "float32" if self.dtype == "bfloat16" else self.dtype


@dataclass(frozen=True)
class Origin:
    """Where something comes from in the user's source."""

    module: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.module or '<model>'} ({self.file}:{self.line})" if self.file else self.module


class ForwardResult(NamedTuple, Generic[Value]):
    """The results of a forward program by role."""

    outputs: Sequence[Value]
    state: Sequence[Value]
    saved: Sequence[Value]


class BackwardResult(NamedTuple, Generic[Value]):
    """The results of a backward program by role."""

    parameters: Sequence[Value]
    inputs: Sequence[Value]
    state: Sequence[Value]
    rebuilt: Sequence[Value]


class ValuePlace(NamedTuple):
    """One of a stage's own outputs, or of its inputs: `kind` is 'output' or 'input'."""

    kind: str
    number: int


@dataclass(frozen=True)
class StageProgram:
    """The forward and backward of one stage as functional graphs over explicit tensors.

    forward(*parameters, *forward_state, *inputs)
        -> (*outputs, *new_forward_state, *saved)
    backward(*parameters, *backward_state, *saved, *output_grads, *arriving)
        -> (*parameter_grads, *input_grads, *new_backward_state, *rebuilt)

    `parameter_grads` has one entry per parameter whose `trainable` is true; the others are frozen
    and never updated.
    `saved` is what the backward needs and does not depend on weights alone: values that are a
    function of the parameters are recomputed from the parameters the backward is given.
    `recomputed` is what the backward computes again from saved inputs instead of having it saved:
    it holds that much of one sample while it runs. Empty for a program that saves what it needs.
    `input_grads` has one entry per input whose `input_needs_grad` is true, in order; likewise
    `output_grads` has one per output whose `output_needs_grad` is true.
    `arriving` are outputs and inputs of the stage that it did not keep: a later stage has rebuilt
    or kept them. `rebuilt` are the inputs, by number, that it gives to earlier stages in turn.
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
    arriving: tuple[ValuePlace, ...] = ()
    rebuilt: tuple[int, ...] = ()

    @property
    def arriving_specs(self) -> tuple[TensorSpec, ...]:
        """Of each value in `arriving`."""
        of = {"output": self.outputs, "input": self.inputs}
        return tuple(of[place.kind][place.number] for place in self.arriving)

    @property
    def rebuilt_specs(self) -> tuple[TensorSpec, ...]:
        """Of each value in `rebuilt`."""
        return tuple(self.inputs[number] for number in self.rebuilt)

    @property
    def recomputes(self) -> bool:
        """Whether the backward does the forward again."""
        return bool(self.recomputed)

    @property
    def saved_bytes(self) -> int:
        return sum(spec.size_bytes for spec in self.saved)

    def forward_result(self, values: Sequence[Value]) -> ForwardResult[Value]:
        """Sort what `forward` returned."""
        outputs = len(self.outputs)
        state = outputs + len(self.forward_state)
        return ForwardResult(values[:outputs], values[outputs:state], values[state:])

    def backward_result(self, values: Sequence[Value]) -> BackwardResult[Value]:
        """Sort what `backward` returned."""
        parameters = sum(self.trainable)
        inputs = parameters + sum(self.input_needs_grad)
        state = inputs + len(self.backward_state)
        return BackwardResult(
            values[:parameters], values[parameters:inputs], values[inputs:state], values[state:]
        )


@dataclass(frozen=True)
class Source:
    """Where a stage input comes from: output `output` of stage `stage`, or of the HOST."""

    stage: int
    output: int


Reader = tuple[int, int]
"""A stage index and the position among its inputs."""


@dataclass(frozen=True)
class Rebuilt:
    """A value as a stage's backward gives it back: its input `input`, rebuilt or kept."""

    stage: int
    input: int


OriginPlaces = Mapping[Origin, Origin]
"""Where the nodes of a shared program come from -> where a stage that shares it has them from."""


@dataclass(frozen=True)
class Stage:
    """One pipeline stage: a (shared) program bound to the model's own tensors by name.

    The program's nodes name the places of the first stage that has it; see `origin_of`. What a
    stage `off_wafer` saves lies with the host until its backward.
    """

    index: int
    name: str
    origin: Origin
    program: StageProgram
    parameters: tuple[str, ...]
    forward_state: tuple[str, ...]
    backward_state: tuple[str, ...]
    inputs: tuple[Source, ...]
    places: OriginPlaces = field(default_factory=dict)
    off_wafer: bool = False

    def is_made_for(self, glob: str) -> bool:
        """Whether a glob of module paths means the stage: by its name (in a stored plan its id, the
        index in front or not), or by what it has in common with others of the same module, before
        the number that tells them apart."""
        name = _STAGE_NUMBER.sub("", self.name)
        common, module = _LAST_NUMBER.sub("", name), self.origin.module
        is_numbered = (
            module in ("", common)
            or common.startswith(f"{module}.")
            or module.startswith(f"{common}.")
        )
        names = {self.name, name, common if is_numbered else name}
        return any(fnmatchcase(one, glob) for one in names)

    def origin_of(self, node: fx.Node) -> Origin | None:
        """Where a node of the program comes from in this stage."""
        origin = node.meta.get("origin")
        return self.places.get(origin, origin) if isinstance(origin, Origin) else None

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all tensors of the model that the stage holds."""
        return (*self.parameters, *self.forward_state, *self.backward_state)

    @property
    def trained(self) -> list[str]:
        """The parameters that get a gradient, in the order of the backward program's results."""
        named = zip(self.parameters, self.program.trainable, strict=True)
        return [name for name, is_trained in named if is_trained]

    @property
    def gradient_outputs(self) -> list[Source]:
        """The outputs that need a gradient, in the order of the backward program's arguments."""
        needed = enumerate(self.program.output_needs_grad)
        return [Source(self.index, number) for number, is_needed in needed if is_needed]

    @property
    def gradient_inputs(self) -> list[Reader]:
        """The inputs that get a gradient, in the order of the backward program's results."""
        needed = enumerate(self.program.input_needs_grad)
        return [(self.index, position) for position, is_needed in needed if is_needed]

    @property
    def arriving(self) -> list[Source]:
        """The values that its backward is given back by later stages."""
        return [
            Source(self.index, number) if kind == "output" else self.inputs[number]
            for kind, number in self.program.arriving
        ]

    @property
    def rebuilt(self) -> list[Rebuilt]:
        """The values that its backward gives back to earlier stages."""
        return [Rebuilt(self.index, number) for number in self.program.rebuilt]


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

    def slots(self, index: int) -> int:
        """Samples of which stage `index` has what it saves on its PEs."""
        depth = self.delay(index) + 1
        return min(depth, SLOTS_OFF_WAFER) if self.stages[index].off_wafer else depth

    @cached_property
    def readers(self) -> dict[Source, tuple[Reader, ...]]:
        """Every value that a stage reads, with its readers in ascending stage index."""
        found: dict[Source, list[Reader]] = {}
        for stage in self.stages:
            for position, source in enumerate(stage.inputs):
                found.setdefault(source, []).append((stage.index, position))
        return {source: tuple(sorted(where)) for source, where in found.items()}

    @cached_property
    def rebuilt(self) -> dict[Source, Rebuilt]:
        """Every value that a backward gives back to earlier ones."""
        return {stage.inputs[key.input]: key for stage in self.stages for key in stage.rebuilt}

    @cached_property
    def asking(self) -> dict[Source, tuple[int, ...]]:
        """The stages that each of these values is given back to, in ascending order."""
        found: dict[Source, list[int]] = {}
        for stage in self.stages:
            for source in stage.arriving:
                found.setdefault(source, []).append(stage.index)
        return {source: tuple(stages) for source, stages in found.items()}

    @property
    def results(self) -> tuple[Source, ...]:
        """What leaves the pipeline: the loss, then the predictions."""
        return (self.loss, *self.predictions)

    @property
    def predicting(self) -> list[Stage]:
        """The stages that the predictions depend on, in order."""
        needed = {source.stage for source in self.predictions}
        for stage in reversed(self.stages):
            if stage.index in needed:
                needed |= {source.stage for source in stage.inputs}
        return [stage for stage in self.stages if stage.index in needed]

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
