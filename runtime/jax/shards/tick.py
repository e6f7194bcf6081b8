"""The tick on several devices: each runs its own shard, all in one program.

The program is the same on every device, as XLA wants it: a device looks up which shard is its own
and does the tick of that one, on its own state. What crosses the cuts moves to the neighbours once
per tick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh

from ....compiler.plan.program import Source
from ....compiler.plan.schedule import ValueKey, spec_of
from ...tick.job import Job
from ...tick.shard import Shards, activations_across, gradients_across, hops, schedule_of
from ...tick.stage import forward_through, from_host
from ...tick.stage_classes import classes_of_one
from ...tick.train_state import Pipeline, TrainedModel
from ..fifo import FlatFifo
from ..ops.lower import jax_dtype
from ..tick import JaxMoment, JaxTick
from ..traffic import Buffers
from .arrays import AXIS, OWN_ROW, SAME
from .slots import RING, SlotLayout
from .transfer import Flat, Wire, room_for

Array = Any


@dataclass(frozen=True)
class ShardedState:
    """What each device holds: its shard's state in slots, and what has come over the cuts."""

    slots: tuple[Array, ...]
    activations: Flat
    gradients: Flat


jax.tree_util.register_dataclass(
    ShardedState, data_fields=("slots", "activations", "gradients"), meta_fields=()
)


class ShardedTick:
    """One tick of all stages, the n-th of `shards` on the n-th of `devices`.

    Called inside of `on_devices` only.
    """

    def __init__(self, job: Job, shards: Shards, devices: Sequence[Any]) -> None:
        self.job, self.shards, self.schedule = job, shards, job.tick_schedule("pipelined")
        self.mesh = Mesh(devices, (AXIS,))
        self.ticks = [self._tick(number) for number in range(len(shards))]
        forms = [jax.eval_shape(tick.start) for tick in self.ticks]
        self.layout = SlotLayout(forms, list(map(_kinds, self.ticks, forms)))
        cuts = [own.start for own in shards] + [shards[-1].stop]
        self.forward = [Wire(job.stages, activations_across(job.stages, cut)) for cut in cuts]
        self.backward = [Wire(job.stages, gradients_across(job.stages, cut)) for cut in cuts]
        self.forward_room, self.backward_room = room_for(self.forward), room_for(self.backward)

    def _tick(self, number: int) -> JaxTick:
        """That of a shard, with rings that may be longer than it needs."""
        own = self.shards[number]
        classes = classes_of_one(self.job.stages)[own.start : own.stop]
        part = schedule_of(self.schedule, self.shards, number)
        return JaxTick(self.job, self.schedule, classes, Buffers(part, classes, FlatFifo))

    def hops(self, number: int, key: ValueKey) -> int:
        """Ticks that a value is old when it arrives at a shard."""
        return hops(self.shards, number, key)

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

    def __call__(
        self, old: ShardedState, moment: JaxMoment
    ) -> tuple[ShardedState, tuple[Array, ...]]:
        """A device's next state, and what left the pipeline there."""
        after = old, tuple(self._nothing(source) for source in self.job.stages.results)
        for number in range(len(self.shards)):
            is_own = lax.axis_index(AXIS) == number
            after = lax.fori_loop(0, is_own.astype(int), self._shard(number, moment), after)
        return self._moved(after[0]), after[1]

    def _shard(self, number: int, moment: JaxMoment) -> Callable[..., tuple[ShardedState, Any]]:
        """The tick of a shard as the body of a loop that its own device runs once, others never.

        XLA updates the state of a loop in place, where it copies what goes through a conditional.
        """
        tick = self.ticks[number]

        def run(
            _: Array, before: tuple[ShardedState, Any]
        ) -> tuple[ShardedState, tuple[Array, ...]]:
            old = before[0]
            arrivals = self._arrivals(number, old)
            state, traffic = tick.step(self.layout.unpack(number, old.slots), moment, arrivals)
            known = {key: traffic.result(key) for key in traffic.made}
            after = ShardedState(
                self.layout.pack(number, state, old.slots),
                self.forward[number + 1].pack(known, self.forward_room),
                self.backward[number].pack(known, self.backward_room),
            )
            return after, self._own(number, self.job.stages.results, known)

        return run

    def _arrivals(self, number: int, state: ShardedState) -> dict[Any, Array]:
        over_first = self.forward[number].unpack(state.activations)
        return {**over_first, **self.backward[number + 1].unpack(state.gradients)}

    def _own(
        self, number: int, sources: Sequence[Source], made: Mapping[Any, Array]
    ) -> tuple[Array, ...]:
        """What a shard made, zeros for what is made in another."""
        own = self.shards[number]
        return tuple(made[s] if s.stage in own else self._nothing(s) for s in sources)

    def _nothing(self, source: Source) -> Array:
        spec = spec_of(self.job.stages, source)
        return jnp.zeros(spec.shape, jax_dtype(spec.torch_dtype))

    def _moved(self, state: ShardedState) -> ShardedState:
        """Activations are with the next shard, gradients with the one before."""
        pairs = [(number, number + 1) for number in range(len(self.shards) - 1)]
        back = [(after, before) for before, after in pairs]
        return ShardedState(
            state.slots,
            lax.ppermute(state.activations, AXIS, pairs),
            lax.ppermute(state.gradients, AXIS, back),
        )

    def predict(self, state: ShardedState, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Predictions for batches (batch, sample, ...): each goes from shard to shard.

        While one is at the last shard those after it are on their way, as in training.
        """
        batches, rows = inputs[0].shape[:2]
        own, last = lax.axis_index(AXIS), len(self.shards) - 1
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

    def _forward_branch(self, number: int, state: ShardedState) -> Callable[..., Any]:
        tick = self.ticks[number]
        model = self.layout.unpack(number, state.slots).model

        def one(arrived: Flat, sample: Sequence[Array]) -> tuple[Flat, tuple[Array, ...]]:
            given = {**from_host(sample), **self.forward[number].unpack(arrived)}
            known: dict[Any, Array] = {**forward_through(tick.functions.values(), model, given)}
            made = self._own(number, self.job.stages.predictions, known)
            return self.forward[number + 1].pack(known, self.forward_room), made

        return jax.vmap(one)


def _kinds(tick: JaxTick, form: Pipeline) -> Pipeline:
    """For each leaf of a state what it is: a field of the model, a ring, or a register."""
    names = [field.name for field in fields(TrainedModel)]
    kinds = {name: jax.tree.map(lambda _, n=name: n, getattr(form.model, name)) for name in names}
    buffers = (RING if fifo.reach > 1 else "register" for fifo in tick.buffers.fifos.values())
    return Pipeline(TrainedModel(**kinds), tuple(buffers))


def _only(value: Array) -> Array:
    """The value of the one device that has it: all others have zeros."""
    if value.dtype == bool:
        return lax.psum(value.astype(jnp.int8), AXIS).astype(bool)
    return lax.psum(value, AXIS)
