"""`weft bench mappings`: every kind of mapping, as it is priced and as the fabric steps it.

Each kind is a small stage whose tiling is asked for, on a wse2 cut to few PEs, so that its price
and its steps are of the same plan. What the fabric does not step is named, and stays as priced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..backend.nn.online_norm import OnlineNorm
from ..compiler.pipeline import Options, compile_model
from ..compiler.plan.document import Mappings
from ..compiler.plan.plan import Plan
from ..compiler.plan.stage_record import Tiling
from ..compiler.targets.load import load_target
from ..compiler.targets.target import Target
from ..sim.fabric import phase_rows

ROWS, COLUMNS = 96, 64
"""Of the corner of a wse2 on which the stages lie."""


@dataclass(frozen=True)
class Kind:
    """A kind of mapping: the stage of `model` that has it, by its module, and its tiling; without
    one the mapper's choice is taken."""

    name: str
    model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    stage: str
    tiling: Tiling | None = None
    mappings: Mappings = "all"
    share_of_zeros: float = 0.0


@dataclass(frozen=True)
class SteppedRow:
    """A phase of a kind's stage: cycles as priced and as stepped, and the operators that stay as
    priced although they have traffic."""

    kind: str
    tiling: str
    phase: str
    priced_cycles: int
    stepped_cycles: int
    as_priced: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Of the steps from the price, as a share of that."""
        return self.stepped_cycles / self.priced_cycles - 1


class Tokens(nn.Module):
    """A linear layer over many positions, then a head on their mean."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.layer = nn.Linear(8, inputs), nn.Linear(inputs, outputs)
        self.head = nn.Linear(outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.first(x)).mean(1))


class Image(nn.Module):
    """A convolution between two others, with a normalization in front of it if `normed`."""

    def __init__(self, channels: int, features: int, kernel: int, normed: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, channels, 1, bias=False)
        norm = [OnlineNorm(channels), nn.ReLU()] if normed else []
        own = nn.Conv2d(channels, features, kernel, padding=kernel // 2, bias=False)
        self.layer = nn.Sequential(*norm, own)
        self.head = nn.Linear(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.first(x)).mean((2, 3)))


class Attention(nn.Module):
    """Scores, soft-max and values with their projections."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.first = nn.Linear(8, features)
        self.layer = nn.MultiheadAttention(features, heads, batch_first=True)
        self.head = nn.Linear(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.head(self.layer(x, x, x, need_weights=False)[0].mean(1))


class Tied(nn.Module):
    """An embedding and a head with its table."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(words, width), nn.Linear(width, width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layer(self.table(tokens)))


def _tokens() -> nn.Module:
    return Tokens(32, 48)


def _image() -> nn.Module:
    return Image(16, 16, 3)


def _normed() -> nn.Module:
    return Image(16, 16, 3, normed=True)


_SHARED = "stages of a region"
_ALIKE = Tiling(8, 1, 8, algorithm="all-reduce")
_POSITIONS, _PIXELS = (1, 60, 8), (1, 2, 20, 20)
KINDS = (
    Kind("one slice of positions", _tokens, _POSITIONS, "layer", Tiling(16, 1, 24)),
    Kind("long columns, few words", lambda: Tokens(64, 48), (1, 2, 8), "layer", Tiling(64, 1, 24)),
    Kind("slices of positions in blocks", _tokens, _POSITIONS, "layer", Tiling(8, 6, 24)),
    Kind("slices interleaved", _tokens, _POSITIONS, "layer", Tiling(8, 6, 24, interleaved=True)),
    Kind("four groups", _tokens, _POSITIONS, "layer", Tiling(16, 1, 24, groups=4)),
    Kind("chains", _tokens, _POSITIONS, "layer", Tiling(8, 6, 24, groups=1)),
    Kind("slices in three groups", _tokens, _POSITIONS, "layer", Tiling(8, 6, 24, groups=3)),
    Kind("splits of any size", _tokens, _POSITIONS, "layer", Tiling(7, 7, 23)),
    Kind("borders of slices", _image, _PIXELS, "layer*", Tiling(8, 5, 16)),
    Kind("borders, interleaved", _image, _PIXELS, "layer*", Tiling(8, 5, 16, interleaved=True)),
    Kind("norm in front, sums along rows", _normed, _PIXELS, "layer*", Tiling(8, 5, 16)),
    Kind("norm in front, in groups", _normed, _PIXELS, "layer*", Tiling(8, 5, 16, groups=2)),
    Kind("one sum after the other", _normed, _PIXELS, "layer*", Tiling(8, 5, 16), "2021"),
    Kind("three quarters zeros", _image, _PIXELS, "layer*", Tiling(8, 5, 16), "all", 0.75),
    Kind("forward apart", _normed, _PIXELS, "layer*", Tiling(8, 5, 16), "apart"),
    Kind("forward apart, wide", _tokens, _POSITIONS, "layer", Tiling(4, 2, 24), "apart"),
    Kind("products of two activations", lambda: Attention(32, 4), (1, 24, 8), "layer"),
    Kind("one region for tied weights", lambda: Tied(4000, 64), (1, 16), _SHARED),
    Kind("vectors alike on all lines", _tokens, (1, 4, 8), "layer", _ALIKE),
)


def measure() -> Iterator[SteppedRow]:
    """Forward and backward of every kind's stage."""
    corner = _corner()
    for kind in KINDS:
        plan = _compiled(kind, corner)
        yield from _rows(kind, plan, corner)


def _corner() -> Target:
    wafer = load_target("wse2")
    return replace(wafer, grid=replace(wafer.grid, rows=ROWS, columns=COLUMNS))


def _compiled(kind: Kind, target: Target) -> Plan:
    torch.manual_seed(0)
    model = kind.model()
    is_of_words = isinstance(model, Tied)
    inputs = torch.zeros(kind.shape, dtype=torch.long if is_of_words else torch.float32)
    labels = torch.zeros(kind.shape if is_of_words else (1,), dtype=torch.long)
    names = [name for name, _ in model.named_parameters() if name.startswith("layer")]
    masks = {name: kind.share_of_zeros for name in names if kind.share_of_zeros}
    options = Options(
        masks=masks,
        tilings={} if kind.tiling is None else {kind.stage: kind.tiling},
        mappings=kind.mappings,
        witness=False,
    )
    return compile_model(model, (inputs, labels), _loss, target, options)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten())


def _rows(kind: Kind, plan: Plan, target: Target) -> Iterator[SteppedRow]:
    records = {stage.id: stage for stage in plan.document.stages}
    users = Counter(stage.region for stage in plan.document.stages)
    for row in phase_rows(plan, target):
        record = records[row.stage]
        is_shared = users[record.region] > 1
        if not (is_shared if kind.stage == _SHARED else fnmatchcase(record.module, kind.stage)):
            continue
        own = (o for o in record.operators if o.phase == row.phase)
        rest = [o.operator for o in own if o.network_cycles and o.name not in row.stepped]
        yield SteppedRow(
            kind.name,
            _text(record.tiling),
            row.phase,
            row.event_cycles,
            row.fabric_cycles,
            tuple(dict.fromkeys(rest)),
        )


def _text(tiling: Tiling) -> str:
    """Slices of inputs x positions x outputs."""
    return f"{tiling.in_split} x {tiling.space_split} x {tiling.out_split}"
