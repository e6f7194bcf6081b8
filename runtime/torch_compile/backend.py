"""The backend `weft` of torch.compile: each graph of dynamo's runs through stage programs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, fx

from ...backend.errors import UnknownNameError, UnsupportedError, UserError
from ...backend.sparsity.eager.attached import in_force
from ...compiler.pipeline import Options, compile_graph
from ...compiler.plan.plan import Plan
from ...compiler.stages.open_graph import trace_open
from .function import StageFunction
from .gradients import Leaf, with_gradients
from .numbers import read_as_numbers
from .owners import Owner, Owners
from .roles import Call, GraphWithRoles, roles_of
from .witness import check_against_eager

_DEFAULTS: Mapping[str, Any] = {"target": "wse2", "optimizer_states": 1, "witness": "on"}


def backend(
    graph: fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    options: Mapping[str, Any] | None = None,
) -> Callable[..., tuple[Tensor, ...]]:
    """What `torch.compile(model, backend="weft")` calls for each graph.

    `options` are `target` (a name or a YAML file) and `optimizer_states`, which only matter to the
    plan, and `witness`: 'off' leaves out the run by torch that each graph is held against when it
    is compiled. Everything waits for the first call, so that the user sees a UserError as it is.
    """
    return CompiledGraph(graph, options or {})


class CompiledGraph:
    """A graph of dynamo's, compiled once per shape of its inputs."""

    def __init__(self, graph: fx.GraphModule, options: Mapping[str, Any]) -> None:
        self._graph, self._options = graph, options
        self._numbers = read_as_numbers(graph)
        self._shapes: dict[Any, CompiledShape] = {}

    def __call__(self, *values: Any) -> tuple[Tensor, ...]:
        for name in self._options.keys() - _DEFAULTS.keys():
            raise UnknownNameError(
                "option of backend weft", name, _DEFAULTS, "docs/torch-compile.md"
            )
        if not self._graph.graph.output_node().args[0]:
            return tuple(self._graph(*values))  # what is left between two breaks: nothing to train
        _check_surroundings(values)
        given = [value.item() if n in self._numbers else value for n, value in enumerate(values)]
        key = tuple(map(_key, given))
        if key not in self._shapes:
            options = {**_DEFAULTS, **self._options}
            shape = CompiledShape(self._graph, given, options)
            if _with_witness(options):
                shape.check(Call(self._graph, shape.roles, tuple(values)))
            self._shapes[key] = shape
        return self._shapes[key](given)


class CompiledShape:
    """A graph for inputs of one shape: its stages, its random keys, the plans if asked for."""

    known: ClassVar[weakref.WeakSet[CompiledShape]] = weakref.WeakSet()
    """All that still run; they live as long as dynamo keeps them."""

    def __init__(
        self, graph: fx.GraphModule, values: Sequence[Any], options: Mapping[str, Any]
    ) -> None:
        self.owners, self._options = Owners(), options
        self.roles = roles_of(graph, values)
        proper = self._of_kind(values, "input")
        with torch.inference_mode(False):
            module = GraphWithRoles(graph, self.roles, values)
            empty = [torch.empty(value.shape, dtype=value.dtype) for value in proper]
            needed = [number for number, value in enumerate(proper) if value.requires_grad]
            self._open = trace_open(module, empty, needed)
            self._keys = {name: key.clone() for name, key in self._open.graph.constants.items()}
        self._outputs = tuple(dict.fromkeys(self._open.outputs))
        self._function = StageFunction(self._open.stages, self._outputs)
        self.known.add(self)

    def __call__(self, values: Sequence[Any]) -> tuple[Tensor, ...]:
        own = {
            role: value
            for role, value in zip(self.roles, values, strict=True)
            if role.kind in ("parameter", "buffer")
        }
        named = self._keys | {role.name: value for role, value in own.items()}
        proper = self._of_kind(values, "input")
        with torch.no_grad():
            made = self._function.forward(named, proper)
            counted = [named[name] for name in self._open.counted]
            next_counts = zip(self._open.counted, self._open.counters(*counted), strict=True)
            for name, value in (*made.state.items(), *next_counts):
                named[name].copy_(value)
        outputs: Sequence[Tensor] = made.outputs
        leaves = self._leaves(named, proper)
        if torch.is_grad_enabled() and leaves:
            self.owners.add(own)
            outputs = with_gradients(self._function, named, made, leaves)
        given = dict(zip(self._outputs, outputs, strict=True))
        return tuple(given[source] for source in self._open.outputs)

    def check(self, call: Call) -> None:
        """Raises WitnessError if the stages compute something else than the graph itself."""
        check_against_eager(call, self._open)

    def plan(self, name: str, owner: Owner) -> Plan:
        """What the wafer would do for this graph with the owner's weights and masks as they are.

        Raises what `weft.compile` raises.
        """
        tensors = owner.tensors()
        sparse = {key: entry for key, value in tensors.items() if (entry := in_force(key, value))}
        options = Options(
            name=name,
            optimizer_states=self._options["optimizer_states"],
            masks={key: entry.mask.cpu() for key, entry in sparse.items()},
            dynamic={key for key, entry in sparse.items() if entry.is_dynamic},
        )
        known = self._keys | tensors
        return compile_graph(self._open.graph, known, self._options["target"], options)

    def describe(self) -> str:
        """Its inputs in a few words."""
        shapes = (f"{list(spec.shape)} {spec.dtype}" for spec in self._open.graph.input_specs)
        return f"inputs {', '.join(shapes)}"

    def _of_kind(self, values: Sequence[Any], kind: str) -> list[Tensor]:
        return [v for v, role in zip(values, self.roles, strict=True) if role.kind == kind]

    def _leaves(self, named: Mapping[str, Tensor], proper: Sequence[Tensor]) -> list[Leaf]:
        trained = [role.name for role in self.roles if role.kind == "parameter"]
        return [
            *(Leaf(name, named[name]) for name in trained if named[name].requires_grad),
            *(Leaf(n, value) for n, value in enumerate(proper) if value.requires_grad),
        ]


def _key(value: Any) -> Any:
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.dtype, value.requires_grad)
    return repr(value) if isinstance(value, float) else value  # nan is no nan, 0 is -0


def _with_witness(options: Mapping[str, Any]) -> bool:
    if options["witness"] not in ("on", "off"):
        raise UserError(
            "option witness of backend weft",
            expected="'on' or 'off'",
            got=repr(options["witness"]),
            change="leave it out, or give options={'witness': 'off'}",
        )
    return options["witness"] == "on"


def _check_surroundings(values: Sequence[Any]) -> None:
    """Raises UnsupportedError off the CPU and under autocast."""
    if torch.is_autocast_enabled("cpu"):
        raise UnsupportedError(
            'torch.compile(..., backend="weft")',
            expected="no autocast: a stage computes in the dtypes of its tensors",
            got="a call under torch.autocast",
            change="leave out autocast, or cast the model: model.to(torch.bfloat16)",
        )
    for value in values:
        if isinstance(value, Tensor) and value.device.type != "cpu":
            raise UnsupportedError(
                'torch.compile(..., backend="weft")',
                expected="tensors on the CPU, where stage programs run",
                got=f"a tensor on {value.device}",
                change="model.cpu(); to train on a device: weft.train(plan, data, executor='jax')",
            )
