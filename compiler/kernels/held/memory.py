"""Bytes on the fullest PE, by class, for every tiling; docs/memory.md argues each class's lifetime.

Weights are kept compressed (value and index per non-zero) where that is smaller than the dense
tile; low-rank factors of a stage lie on different lines of PEs. Gradients and optimizer state exist
for non-zeros only. Saved activations are dealt out evenly over the region, each tensor by itself,
and held for delay + 1 samples, for delay where a tick's backward, which is done with one, comes
before its forward, or for those that are not with the host.
Forward, backward and update take turns, so what only one of them needs shares its bytes with what
only another one needs: the workspace is the backward's, or what the forward's exceeds the gradient
by, whichever is larger. A gradient that is summed behind the forward lives beside it.
Streams have two buffers, as gradients need those of what they are gradients of; activations that
are given back have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...machine.arrays import Bools, Floats, Ints, ceil_div
from ...machine.product import side_bytes
from ...machine.tilings import Tilings
from ...plan.program import StageProgram, TensorSpec
from ...plan.stage_record import PEMemory
from ..layout import StageLayout
from ..site import Site
from .factor_lines import on_fullest
from .workspace import workspace_bytes


@dataclass(frozen=True)
class Stored:
    """Parameters on a PE, one value per tiling: elements kept and bytes they take with indices."""

    elements: Ints
    mean_elements: Floats
    weight_bytes: Ints
    value_bytes: Ints

    def where(self, is_there: Bools) -> Stored:
        """The same under the tilings for which this is true; under others the fullest PE holds
        nothing of it."""
        held = (self.elements, self.weight_bytes, self.value_bytes)
        elements, weights, values = (np.where(is_there, n, 0) for n in held)
        return Stored(elements, self.mean_elements, weights, values)


@dataclass(frozen=True)
class Post:
    """Where in the pipeline a stage stands: updates between its forward and its backward, bytes
    that streams between other stages leave with it (see stages/skip_streams.py), and at most how
    many samples of what it saves lie on its PEs (0: all that are in flight)."""

    delay: int
    passing_bytes: int = 0
    most_slots: int = 0

    @property
    def slots(self) -> int:
        """Samples of what it saves on its PEs."""
        return min(self.delay + 1, self.most_slots or self.delay + 1)


@dataclass(frozen=True)
class MemoryTable:
    """Bytes per PE by class, one value per tiling; `saved_bytes` is for one sample. In a tick the
    backward is done with a sample before the forward begins one, if it comes first."""

    tilings: Tilings
    weights: Ints
    optimizer: Ints
    gradient: Ints
    saved_bytes: Ints
    workspace: Ints
    normalization: Ints
    stream_buffer: Ints
    backward_first: bool = False

    def samples_held(self, post: Post) -> int:
        """Samples that the FIFO of what is saved has a place for."""
        return min(post.slots, post.delay + 1 - self.backward_first)

    @property
    def of_weights(self) -> Ints:
        """What grows with the number of non-zeros."""
        return self.weights + self.optimizer + self.gradient

    def total(self, post: Post) -> Ints:
        """All classes together at a stage that stands at `post`."""
        fixed = self.of_weights + self.normalization + self.workspace + self.stream_buffer
        return (
            fixed
            + self.samples_held(post) * self.saved_bytes
            + self.tilings.share(post.passing_bytes)
        )

    def at(self, index: int, post: Post) -> PEMemory:
        """One tiling's memory."""
        return PEMemory(
            weights_bytes=int(self.weights[index]),
            optimizer_bytes=int(self.optimizer[index]),
            gradient_bytes=int(self.gradient[index]),
            activation_fifo_bytes=self.samples_held(post) * int(self.saved_bytes[index]),
            workspace_bytes=int(self.workspace[index]),
            normalization_bytes=int(self.normalization[index]),
            stream_buffer_bytes=int(self.stream_buffer[index]),
            skip_fifo_bytes=int(self.tilings.share(post.passing_bytes)[index]),
        )


def stored_parameters(site: Site, layout: StageLayout, program: StageProgram) -> list[Stored]:
    """Where each parameter lies, and how much of it the fullest PE holds: no row of a low-rank
    factor that has its rows on other lines of PEs."""
    there = on_fullest(layout, site.tilings)
    found = []
    for index, spec in enumerate(program.parameters):
        stored = store_parameter(site, layout, index, spec)
        if index in layout.lent:
            stored = nothing_stored(site.tilings)
        elif index in there:
            stored = stored.where(there[index])
        found.append(stored)
    return found


def nothing_stored(tilings: Tilings) -> Stored:
    """Of a parameter that another stage holds."""
    nothing = np.zeros(len(tilings), np.int64)
    return Stored(nothing, nothing.astype(np.float64), nothing, nothing)


def store_parameter(site: Site, layout: StageLayout, index: int, spec: TensorSpec) -> Stored:
    """Where parameter `index` lies, and how much of it the fullest PE holds."""
    size = spec.torch_dtype.itemsize
    if index in site.weights:
        return _store_matrix(site, index, size)
    elements = vector_elements(site.tilings, layout, index, spec)
    mean = spec.elements / _slices(site.tilings, layout, index, spec)
    return Stored(elements, mean, elements * size, elements * size)


def vector_elements(tilings: Tilings, layout: StageLayout, index: int, spec: TensorSpec) -> Ints:
    """On the fullest PE, of parameter `index`, with which no contraction multiplies."""
    if len(spec.shape) > 1:
        return tilings.share(spec.elements)
    return ceil_div(spec.elements, _slices(tilings, layout, index, spec))


def _slices(tilings: Tilings, layout: StageLayout, index: int, spec: TensorSpec) -> Ints:
    """Vectors lie with the features they go with; other tensors are dealt out over the region."""
    if len(spec.shape) > 1:
        return tilings.height * tilings.width
    return tilings.out_split if index in layout.biases else tilings.in_split


def _store_matrix(site: Site, index: int, size: int) -> Stored:
    weights, tilings = site.weights[index], site.tilings
    elements = weights.tile_max(tilings.in_split, tilings.out_split)
    dense = weights.tile_size(tilings.in_split, tilings.out_split) * size
    compressed = elements * (size + site.target.sparsity.index_bytes)
    mean = weights.total / (tilings.in_split * tilings.out_split)
    return Stored(elements, mean, np.minimum(dense, compressed), elements * size)


def memory_table(
    site: Site,
    layout: StageLayout,
    program: StageProgram,
    stored: list[Stored],
    optimizer_states: int,
    backward_first: bool,
    joint: Mapping[str, Mapping[str, Bools]],
) -> MemoryTable:
    """All classes for every tiling of the site. `joint`: by phase and operator, where low-rank
    factors are in its product."""
    nothing = np.zeros(len(site.tilings), np.int64)
    trained = [s for s, is_trained in zip(stored, program.trainable, strict=True) if is_trained]
    values = sum((s.value_bytes for s in trained), nothing)
    side = side_bytes(site.target)
    own = (layout.forward, side, joint["forward"]), (layout.backward, side, joint["backward"])
    forward = workspace_bytes(program.forward, site.tilings, layout, *own[0])
    backward = workspace_bytes(program.backward, site.tilings, layout, *own[1])
    streams = (*program.inputs, *program.outputs)
    back = (*program.arriving_specs, *program.rebuilt_specs)
    return MemoryTable(
        tilings=site.tilings,
        weights=sum((s.weight_bytes for s in stored), nothing),
        optimizer=optimizer_states * values,
        gradient=values,
        saved_bytes=sum((_dealt(site, spec) for spec in program.saved), nothing),
        workspace=np.maximum(backward, forward - (nothing if backward_first else values)),
        normalization=sum((_state(site, spec) for spec in _states(program)), nothing),
        stream_buffer=sum((_dealt(site, spec) for spec in (*streams, *streams, *back)), nothing),
        backward_first=backward_first,
    )


def _states(program: StageProgram) -> tuple[TensorSpec, ...]:
    return (*program.forward_state, *program.backward_state)


def _dealt(site: Site, spec: TensorSpec) -> Ints:
    return site.share(spec.elements) * spec.torch_dtype.itemsize


def _state(site: Site, spec: TensorSpec) -> Ints:
    """Statistics are kept by the rows of PEs that hold their features."""
    return ceil_div(spec.elements, site.tilings.in_split) * spec.torch_dtype.itemsize
