"""Bytes on the fullest PE, by class, for every tiling.

Weights are kept compressed (value and index per non-zero) where that is smaller than the dense
tile. Gradients and optimizer state exist for non-zeros only. Saved activations are dealt out evenly
over the region, each tensor by itself, and held for delay + 1 samples. A stage that recomputes
saves its inputs only; what it computes again it holds for the one sample of its backward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..plan.document import PEMemory
from ..program import StageProgram, TensorSpec
from .layout import Layout, Matrix
from .site import Site
from .tilings import Floats, Ints, Tilings, ceil_div

_DOUBLE_BUFFER = 2


@dataclass(frozen=True)
class Stored:
    """Parameters on a PE, one value per tiling: elements kept and bytes they take with indices."""

    elements: Ints
    mean_elements: Floats
    weight_bytes: Ints
    value_bytes: Ints


@dataclass(frozen=True)
class MemoryTable:
    """Bytes per PE by class, one value per tiling; `saved_bytes` and `recomputed` are for one
    sample."""

    weights: Ints
    optimizer: Ints
    gradient: Ints
    saved_bytes: Ints
    recomputed: Ints
    normalization: Ints
    stream_buffer: Ints

    @property
    def of_weights(self) -> Ints:
        """What grows with the number of non-zeros."""
        return self.weights + self.optimizer + self.gradient

    def total(self, delay: int) -> Ints:
        """All classes together at a stage whose backward comes `delay` updates later."""
        fixed = self.weights + self.optimizer + self.gradient + self.normalization
        working = self.recomputed + self.stream_buffer
        return fixed + working + (delay + 1) * self.saved_bytes

    def at(self, index: int, delay: int) -> PEMemory:
        """One tiling's memory."""
        return PEMemory(
            weights_bytes=int(self.weights[index]),
            optimizer_bytes=int(self.optimizer[index]),
            gradient_bytes=int(self.gradient[index]),
            activation_fifo_bytes=(delay + 1) * int(self.saved_bytes[index]),
            recomputed_bytes=int(self.recomputed[index]),
            normalization_bytes=int(self.normalization[index]),
            stream_buffer_bytes=int(self.stream_buffer[index]),
        )


def store_parameter(site: Site, layout: Layout, index: int, spec: TensorSpec) -> Stored:
    """Where parameter `index` lies, and how much of it the fullest PE holds."""
    size = spec.torch_dtype.itemsize
    if index in site.weights:
        return _store_matrix(site, index, size)
    elements = vector_elements(site.tilings, layout, index, spec)
    mean = spec.elements / _slices(site.tilings, layout, index, spec)
    return Stored(elements, mean, elements * size, elements * size)


def vector_elements(tilings: Tilings, layout: Layout, index: int, spec: TensorSpec) -> Ints:
    """On the fullest PE, of parameter `index`, with which no contraction multiplies."""
    if len(spec.shape) > 1:
        return tilings.share(spec.elements)
    return ceil_div(spec.elements, _slices(tilings, layout, index, spec))


def _slices(tilings: Tilings, layout: Layout, index: int, spec: TensorSpec) -> Ints:
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
    site: Site, layout: Layout, program: StageProgram, stored: list[Stored], optimizer_states: int
) -> MemoryTable:
    """All classes for every tiling of the site."""
    nothing = np.zeros(len(site.tilings), np.int64)
    trained = [s for s, is_trained in zip(stored, program.trainable, strict=True) if is_trained]
    values = sum((s.value_bytes for s in trained), nothing)
    return MemoryTable(
        weights=sum((s.weight_bytes for s in stored), nothing),
        optimizer=optimizer_states * values,
        gradient=values,
        saved_bytes=sum((_dealt(site, spec) for spec in program.saved), nothing),
        recomputed=sum((_dealt(site, spec) for spec in program.recomputed), nothing),
        normalization=sum((_state(site, spec) for spec in _states(program)), nothing),
        stream_buffer=_stream_buffer(site, layout, program),
    )


def _states(program: StageProgram) -> tuple[TensorSpec, ...]:
    return (*program.forward_state, *program.backward_state)


def _dealt(site: Site, spec: TensorSpec) -> Ints:
    return site.share(spec.elements) * spec.torch_dtype.itemsize


def _state(site: Site, spec: TensorSpec) -> Ints:
    """Statistics are kept by the rows of PEs that hold their features."""
    return ceil_div(spec.elements, site.tilings.in_split) * spec.torch_dtype.itemsize


def _stream_buffer(site: Site, layout: Layout, program: StageProgram) -> Ints:
    """What arrives and leaves (double-buffered), and the largest contraction's working set."""
    nothing = np.zeros(len(site.tilings), np.int64)
    streams = sum((_dealt(site, spec) for spec in (*program.inputs, *program.outputs)), nothing)
    size = max((spec.torch_dtype.itemsize for spec in program.outputs), default=1)
    matrices = [*layout.matrices.values(), *(_as_matrix(*sizes) for sizes in layout.operands)]
    working = [_working_set(site, matrix) * size for matrix in matrices]
    resident = [_resident_operand(site, *sizes) * size for sizes in layout.operands]
    largest = np.maximum.reduce([nothing, *working])
    return _DOUBLE_BUFFER * streams + largest + sum(resident, nothing)


def _working_set(site: Site, matrix: Matrix) -> Ints:
    """Elements held during a contraction: output accumulators, input-gradient accumulators, and
    one feature vector being used while the next arrives."""
    tilings = site.tilings
    in_positions = ceil_div(matrix.in_positions, tilings.space_split)
    out_positions = ceil_div(matrix.out_positions, tilings.space_split)
    accumulators = (
        ceil_div(matrix.out_features, tilings.out_split) * out_positions
        + ceil_div(matrix.in_features, tilings.in_split) * in_positions
    )
    return accumulators + _DOUBLE_BUFFER * np.maximum(in_positions, out_positions)


def _as_matrix(batch: int, m: int, k: int, n: int) -> Matrix:
    return Matrix(1, k, n, batch, m, m)


def _resident_operand(site: Site, batch: int, m: int, k: int, n: int) -> Ints:
    tilings = site.tilings
    return batch * ceil_div(k, tilings.in_split) * ceil_div(n, tilings.out_split)
