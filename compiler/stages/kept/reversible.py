"""Reversible stages: what a stage read is rebuilt from what it put out, not kept.

    forward(w, x1, x2) -> y1 = x1 + f(w, x2), saved h      forward(w, x1, x2) -> y1, nothing saved
    backward(w, h, dy1) -> dw, dx1, dx2                    backward(w, dy1, y1, x2)
                                                             h of f(w, x2); x1 = y1 - f(w, x2)
                                                             -> dw, dx1, dx2, x1

What comes back beside the gradients, y1 and x2, was rebuilt by the backwards of later stages, or
kept by a stage that is not reversible: an anchor, where errors of the inverse end. Each value is
given back by one of its readers, to the stage that made it and to the readers before. Normalization
state that the forward read and the keys of random draws are kept: they are small.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from torch import fx

from ...capture.reversible.updates import SUM
from ...plan.program import HOST, Reader, Source, Stage, StageProgram, Stages, ValuePlace
from .inverse import steps_from
from .rebuilding import Nodes, rebuilding, with_inputs


@dataclass(frozen=True)
class Reversible:
    """Let stages with `updates` (paths of modules) rebuild their inputs, where that saves bytes.

    With `anchor_every` m every m-th reversible layer keeps its inputs instead: an anchor.

    before: forward(w, x1, x2) -> y1, saved h       after: forward(w, x1, x2) -> y1
            backward(w, h, dy1)                            backward(w, dy1, y1, x2) -> ..., x1
    """

    updates: frozenset[str]
    anchor_every: int = 0

    def __call__(self, stages: Stages) -> Stages:
        return reversible(stages, self.updates, self.anchor_every)


def reversible(stages: Stages, updates: frozenset[str], anchor_every: int = 0) -> Stages:
    """`stages` in which those with `updates` keep nothing that later stages can give back.

    The last stage keeps what it needs: its backward follows its forward at once.
    """
    makers = _makers(stages, updates, anchor_every)
    if not makers:
        return stages
    givers = _givers(stages, makers)
    asked: set[Source] = set()
    changed = []
    for stage in stages.stages:
        given = tuple(n for n, s in enumerate(stage.inputs) if givers.get(s) == (stage.index, n))
        wanted = tuple(n for n in given if stage.inputs[n] in asked)
        program = with_inputs(stage.program, wanted)
        if stage.index in makers:
            arriving = _arriving(stage, given, givers)
            rebuilt = makers[stage.index].program(stage.program, arriving, wanted)
            program = min(program, rebuilt, key=lambda p: p.saved_bytes)
        stage = replace(stage, program=program)
        asked.update(stage.arriving)
        changed.append(stage)
    return replace(stages, stages=tuple(changed))


def _arriving(
    stage: Stage, given: Collection[int], givers: Mapping[Source, Reader]
) -> tuple[ValuePlace, ...]:
    """What later stages can give back to a stage."""
    outputs = (n for n, _ in enumerate(stage.program.outputs) if Source(stage.index, n) in givers)
    later = (
        number
        for number, source in enumerate(stage.inputs)
        if givers.get(source, (stage.index,))[0] > stage.index and number not in given
    )
    return (*(ValuePlace("output", n) for n in outputs), *(ValuePlace("input", n) for n in later))


@dataclass(frozen=True)
class _Maker:
    """Makes the reversible program of a stage; `sums` are the updates among its forward's nodes."""

    sums: frozenset[fx.Node]
    is_anchor: bool

    def program(
        self, program: StageProgram, arriving: tuple[ValuePlace, ...], wanted: tuple[int, ...]
    ) -> StageProgram:
        """The program that gives the inputs `wanted` back.

        An anchor does not undo its update: it keeps what others do not give back.
        """
        usable = tuple(p for p in arriving if p.kind == "input" or not self.is_anchor)
        return rebuilding(program, self.sums, usable, wanted)


def _makers(stages: Stages, updates: frozenset[str], anchor_every: int) -> dict[int, _Maker]:
    """By stage, those that may become reversible."""
    anchors = _anchors(updates, stages, anchor_every)
    found = {}
    for stage in stages.stages[:-1]:
        own = {path for node in _calls(stage) if (path := _update(stage, node, updates))}
        if own:
            sums = (node for node in _calls(stage) if _is_update(stage, node, updates))
            found[stage.index] = _Maker(frozenset(sums), bool(own & anchors))
    return found


def _calls(stage: Stage) -> list[fx.Node]:
    return [node for node in stage.program.forward.graph.nodes if node.op == "call_function"]


def _update(stage: Stage, node: fx.Node, updates: frozenset[str]) -> str:
    """The update that a node belongs to, or ''."""
    parts = _module(stage, node).split(".")
    paths = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((path for path in paths if path in updates), "")


def _is_update(stage: Stage, node: fx.Node, updates: frozenset[str]) -> bool:
    """Whether a node is target + change, of a target that has the shape and type of the sum."""
    if node.target is not SUM or node.kwargs or _module(stage, node) not in updates:
        return False
    target = node.args[0]
    value = node.meta["val"]
    return (
        isinstance(target, fx.Node)
        and all(isinstance(operand, fx.Node) for operand in node.args)
        and target.meta["val"].shape == value.shape
        and target.meta["val"].dtype == value.dtype
    )


def _module(stage: Stage, node: fx.Node) -> str:
    origin = stage.origin_of(node)
    return origin.module if origin else ""


def _anchors(updates: frozenset[str], stages: Stages, every: int) -> set[str]:
    """The updates of every `every`-th layer of each chain."""
    if not every:
        return set()
    nodes = ((stage, node) for stage in stages.stages for node in _calls(stage))
    found_in = (_update(stage, node, updates) for stage, node in nodes)
    order = dict.fromkeys(path for path in found_in if path)
    layers: dict[str, dict[str, int]] = {}
    found = set()
    for update in order:
        layer = _layer(update)
        chain = layers.setdefault(layer.rpartition(".")[0], {})
        if chain.setdefault(layer, len(chain) + 1) % every == 0:
            found.add(update)
    return found


def _layer(update: str) -> str:
    """The layer of an update: `blocks.3` of `blocks.3.f`, `blocks.4` of `blocks.4.down.1`."""
    parts = update.split(".")
    return ".".join(parts[:-2] if parts[-1].isdigit() else parts[:-1])


def _givers(stages: Stages, makers: Mapping[int, _Maker]) -> dict[Source, Reader]:
    """Which reader of each value gives it back.

    The last reversible stage that reads it, if that can rebuild it; else, of the readers after it,
    one that keeps the value anyway, or the last one.
    """
    found: dict[Source, Reader] = {}
    for source, readers in stages.readers.items():
        own = [number for number, reader in enumerate(readers) if reader[0] in makers]
        if source.stage == HOST or not (own or source.stage in makers):
            continue
        if own and _is_target(stages, readers[own[-1]], makers):
            found[source] = readers[own[-1]]
        else:
            later = readers[own[-1] + 1 if own else 0 :]
            keeping = (reader for reader in later if _keeps(stages.stages[reader[0]], reader[1]))
            found[source] = next(keeping, readers[-1])
    return found


def _is_target(stages: Stages, reader: Reader, makers: Mapping[int, _Maker]) -> bool:
    """Whether an input follows from the stage's outputs and its other inputs."""
    index, position = reader
    nodes = Nodes.of(stages.stages[index].program)
    others = (node for number, node in enumerate(nodes.inputs) if number != position)
    graph = stages.stages[index].program.forward.graph
    known, _ = steps_from(graph, {*nodes.own, *nodes.outputs, *others}, makers[index].sums)
    return nodes.inputs[position] in known


def _keeps(stage: Stage, position: int) -> bool:
    """Whether a stage saves one of its inputs for its own backward."""
    nodes = Nodes.of(stage.program)
    return nodes.inputs[position] in nodes.saved
