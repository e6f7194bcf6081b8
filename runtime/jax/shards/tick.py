"""The tick on several devices: each runs its own group of stages, all in one program.

The program is the same on every device, as XLA wants it: a device looks up which group it is and
does the tick of that one, on its own state. What crosses the cuts moves to the neighbours once per
tick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from ....compiler.plan.program import Source
from ...tick.job import Job
from ...tick.shard import Groups, Part, activations_across, gradients_across, spec_of
from ...tick.train_state import Model
from ..fifo import FlatFifo
from ..forward import forward_through, from_host
from ..ops.lower import jax_dtype
from ..tick import Moment, Pipeline, PipelinedTick
from .arrays import AXIS, OWN_ROW, SAME
from .slots import RING, Layout
from .transfer import Flat, Wire, room_for

Array = Any


class PartTick(PipelinedTick):
    """The tick of one group, with rings that may be longer than it needs."""

    fifo = FlatFifo


@dataclass(frozen=True)
class SplitState:
    """What each device holds: its group's state in slots, and what has come over the cuts."""

    slots: tuple[Array, ...]
    activations: Flat
    gradients: Flat


jax.tree_util.register_dataclass(
    SplitState, data_fields=("slots", "activations", "gradients"), meta_fields=()
)


class SplitTick:
    """One tick of all stages in `groups`, the n-th on the n-th of `devices`.

    It has the attributes of `PipelinedTick`, and runs inside of `on_devices` only.
    """

    def __init__(self, job: Job, groups: Groups, devices: Sequence[Any]) -> None:
        self.job, self.groups = job, groups
        self.mesh = Mesh(devices, (AXIS,))
        self.whole = PipelinedTick(job)
        self.ticks = [PartTick(job, Part(job.stages, groups, n)) for n in range(len(groups))]
        forms = [jax.eval_shape(tick.start) for tick in self.ticks]
        self.layout = Layout(forms, list(map(_kinds, self.ticks, forms)))
        cuts = [own.start for own in groups] + [groups[-1].stop]
        self.forward = [Wire(job.stages, activations_across(job.stages, cut)) for cut in cuts]
        self.backward = [Wire(job.stages, gradients_across(job.stages, cut)) for cut in cuts]
        self.forward_room, self.backward_room = room_for(self.forward), room_for(self.backward)
        self.lag, self.drain_ticks = self.whole.lag, self.whole.drain_ticks
        self.rates_read, self.results = self.whole.rates_read, self.whole.results
        self.result_lags, self.update_lag = self.whole.result_lags, self.whole.update_lag

    def on_devices(self, function: Callable[..., tuple[Any, Any]]) -> Callable[..., Any]:
        """`function(state, *same)` -> (state, results), on all devices with the results of each.

        A result is that of the one device that has it; the others give zeros.
        """

        def own(state: Any, *same: Any) -> tuple[Any, Any]:
            after, results = function(state, *same)
            return after, jax.tree.map(_only, results)

        def spread(state: Any, *same: Any) -> tuple[Any, Any]:
            specs = (OWN_ROW, *(SAME for _ in same))
            mapped = jax.shard_map(
                own, mesh=self.mesh, in_specs=specs, out_specs=(OWN_ROW, SAME), check_vma=False
            )
            return mapped(state, *same)

        return spread

    def __call__(self, old: SplitState, moment: Moment) -> tuple[SplitState, tuple[Array, ...]]:
        """A device's next state, and what left the pipeline there."""
        after = old, tuple(self._nothing(source) for source in self.results)
        for number in range(len(self.groups)):
            is_own = lax.axis_index(AXIS) == number
            after = lax.fori_loop(0, is_own.astype(int), self._group(number, moment), after)
        return self._moved(after[0]), after[1]

    def _group(self, number: int, moment: Moment) -> Callable[..., tuple[SplitState, Any]]:
        """The tick of a group as the body of a loop that its own device runs once, others never.

        XLA updates the state of a loop in place, where it copies what goes through a conditional.
        """
        tick = self.ticks[number]

        def run(_: Array, before: tuple[SplitState, Any]) -> tuple[SplitState, tuple[Array, ...]]:
            old = before[0]
            arrivals = self._arrivals(number, old)
            state, made = tick.step(self.layout.unpack(number, old.slots), moment, arrivals)
            known = {**arrivals, **made}
            after = SplitState(
                self.layout.pack(number, state, old.slots),
                self.forward[number + 1].pack(known, self.forward_room),
                self.backward[number].pack(known, self.backward_room),
            )
            return after, self._results(tick.part, made)

        return run

    def _arrivals(self, number: int, state: SplitState) -> dict[Any, Array]:
        over_first = self.forward[number].unpack(state.activations)
        return {**over_first, **self.backward[number + 1].unpack(state.gradients)}

    def _results(self, part: Part, made: Any) -> tuple[Array, ...]:
        return tuple(
            made[source] if part.holds(source.stage) else self._nothing(source)
            for source in self.results
        )

    def _nothing(self, source: Source) -> Array:
        spec = spec_of(self.job.stages, source)
        return jnp.zeros(spec.shape, jax_dtype(spec.torch_dtype))

    def _moved(self, state: SplitState) -> SplitState:
        """Activations are with the next group, gradients with the one before."""
        pairs = [(number, number + 1) for number in range(len(self.groups) - 1)]
        back = [(after, before) for before, after in pairs]
        return SplitState(
            state.slots,
            lax.ppermute(state.activations, AXIS, pairs),
            lax.ppermute(state.gradients, AXIS, back),
        )

    def predict(self, state: SplitState, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Predictions for batches (batch, sample, ...): each goes from group to group.

        While one is at the last group those after it are on their way, as in training.
        """
        batches, rows = inputs[0].shape[:2]
        own, last = lax.axis_index(AXIS), len(self.groups) - 1
        branches = [self._forward_branch(number, state) for number in range(last + 1)]

        def body(n: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            arrived, collected = carry
            batch = jnp.clip(n - own, 0, batches - 1)
            given = [lax.dynamic_index_in_dim(i, batch, keepdims=False) for i in inputs]
            sent, made = lax.switch(own, branches, arrived, given)
            is_batch = (own <= n) & (n - own < batches)
            collected = tuple(
                lax.dynamic_update_index_in_dim(c, jnp.where(is_batch, m, c[batch]), batch, 0)
                for c, m in zip(collected, made, strict=True)
            )
            pairs = [(number, number + 1) for number in range(last)]
            return lax.ppermute(sent, AXIS, pairs), collected

        room = self.forward_room.items()
        arrived = {dtype: jnp.zeros((rows, size), dtype) for dtype, size in room}
        nothing = [self._nothing(source) for source in self.job.stages.predictions]
        empty = tuple(jnp.zeros((batches, rows, *n.shape), n.dtype) for n in nothing)
        return lax.fori_loop(0, batches + last, body, (arrived, empty))[1]

    def _forward_branch(self, number: int, state: SplitState) -> Callable[..., Any]:
        tick = self.ticks[number]
        model = self.layout.unpack(number, state.slots).model

        def one(arrived: Flat, sample: Sequence[Array]) -> tuple[Flat, tuple[Array, ...]]:
            given = {**from_host(sample), **self.forward[number].unpack(arrived)}
            known = forward_through(tick.functions, model, given)
            made = tuple(
                known[source] if tick.part.holds(source.stage) else self._nothing(source)
                for source in self.job.stages.predictions
            )
            return self.forward[number + 1].pack(known, self.forward_room), made

        return jax.vmap(one)


def _kinds(tick: PipelinedTick, form: Pipeline) -> Pipeline:
    """For each leaf of a state what it is: a field of the model, a ring, or a register."""
    names = [field.name for field in fields(Model)]
    kinds = {name: jax.tree.map(lambda _, n=name: n, getattr(form.model, name)) for name in names}
    buffers = (RING if fifo.reach > 1 else "register" for fifo in tick.fifos.values())
    return Pipeline(Model(**kinds), tuple(buffers))


def _only(value: Array) -> Array:
    """The value of the one device that has it: all others have zeros."""
    if value.dtype == bool:
        return lax.psum(value.astype(jnp.int8), AXIS).astype(bool)
    return lax.psum(value, AXIS)
