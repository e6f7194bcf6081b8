"""What LoRA needs beside full fine-tuning: bytes, PEs and cycles of the plans of Llama-2-7B.

The table of docs/adapters.md is what this prints: `weft bench finetuning`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import nn

from ..backend.errors import InfeasibleError
from ..backend.nn.lora import LoRA, adapt
from ..backend.packages import model_package
from ..compiler.capture.capture import capture
from ..compiler.capture.graph import Graph
from ..compiler.pipeline import GraphCompiler, Options
from ..compiler.plan.plan import Plan
from ..compiler.targets.load import load_target
from .models.case import Case

LLAMA_2_7B = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "use_cache": False,
}
"""Its configuration, but for the number of layers (32)."""

TARGETS = ("model.layers.*_proj",)
"""All seven matrices of every layer."""

FULL = "full"
_MOST_WAFERS = 16
_STATES = 2


@dataclass(frozen=True)
class Setting:
    """Which plans: AdamW, types of 16 bits; blocks, or the finest stages."""

    layers: int = 32
    tokens: int = 128
    rank: int = 16
    target: str = "wse3"
    granularity: str = "block"
    recompute: bool = True
    pe_memory: tuple[int, ...] = ()
    """Bytes of a PE that stages of LoRA may take at most, a plan for each; empty: all."""


@dataclass(frozen=True)
class Row:
    """One plan. `bytes` by class are those of the fullest PE of each stage, times its PEs."""

    way: str
    trained: int
    wafers: int
    stages: int
    bytes: dict[str, int]
    pes: int
    interval_cycles: float
    macs: int

    @property
    def total_bytes(self) -> int:
        """Of all classes."""
        return sum(self.bytes.values())

    @property
    def pe_cycles(self) -> float:
        """PEs times cycles of a sample."""
        return self.pes * self.interval_cycles


def case(setting: Setting, adapted: bool) -> Case:
    """A decoder of Llama-2-7B's width on the meta device, with its own loss; with adapters all its
    other weights are frozen."""
    transformers = model_package("transformers")
    transformers.logging.set_verbosity_error()
    config = transformers.LlamaConfig(num_hidden_layers=setting.layers, **LLAMA_2_7B)
    with torch.device("meta"):
        model: nn.Module = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    if adapted:
        model = adapt(model, LoRA(TARGETS, rank=setting.rank, alpha=2 * setting.rank))
    tokens = torch.empty((1, setting.tokens), dtype=torch.long, device="meta")
    return Case(model, {"input_ids": tokens, "labels": tokens}, None)


def finetuning(setting: Setting, wafers: int | None = None) -> Iterator[Row]:
    """Full fine-tuning, then LoRA: on so many wafers, or each on the fewest that hold it."""
    for way in (FULL, f"LoRA, r = {setting.rank}"):
        made = case(setting, way != FULL)
        graph = capture(made.model, made.sample, made.loss)
        for most in (way != FULL and setting.pe_memory) or (None,):
            compiler = _compiler(setting, graph, most)
            plan = _least(setting, compiler) if wafers is None else _plan(setting, compiler, wafers)
            yield _row(way if most is None else f"{way}, {most:,} bytes of a PE", plan)


def _compiler(setting: Setting, graph: Graph, pe_memory: int | None) -> GraphCompiler:
    options = Options(
        optimizer_states=_STATES,
        granularity=setting.granularity,  # type: ignore[arg-type]
        recompute=setting.recompute,
        pe_memory=pe_memory,
        witness=False,
    )
    return GraphCompiler(graph, options)


def _plan(setting: Setting, compiler: GraphCompiler, wafers: int) -> Plan:
    target = load_target(setting.target).with_wafers(wafers, "as asked for")
    return compiler.plan(compiler.choose(target))


def _least(setting: Setting, compiler: GraphCompiler) -> Plan:
    """On the fewest wafers. Raises InfeasibleError of the last that were tried."""
    for wafers in range(1, _MOST_WAFERS):
        try:
            return _plan(setting, compiler, wafers)
        except InfeasibleError:
            continue
    return _plan(setting, compiler, _MOST_WAFERS)


def _row(way: str, plan: Plan) -> Row:
    document, held = plan.document, Counter[str]()
    for stage in document.stages:
        pes = stage.region.height * stage.region.width
        held.update({name: pes * n for name, n in asdict(stage.memory_per_pe).items()})
    return Row(
        way,
        trained=_trained(plan),
        wafers=document.totals.wafers_used,
        stages=len(document.stages),
        bytes={name.removesuffix("_bytes"): n for name, n in held.items() if n},
        pes=document.totals.pes_used,
        interval_cycles=document.totals.initiation_interval_cycles,
        macs=document.totals.macs_effective,
    )


def _trained(plan: Plan) -> int:
    """Weights that are updated."""
    found = 0
    for stage in plan.stages.stages:
        specs = zip(stage.program.parameters, stage.program.trainable, strict=True)
        found += sum(spec.elements for spec, trains in specs if trains)
    return found
