"""Random small networks and random small machines, each from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from helpers.reversible_chains import Chain as ReversibleChain
from helpers.reversible_chains import network as reversible_network
from helpers.target_document import target_document
from torch import Tensor, nn
from weft.compiler.pipeline import Options

DTYPES = (torch.float32, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Network:
    """A model with a sample, a loss and options; what of each parameter is not zero, and whether
    two of its layers share a weight."""

    model: nn.Module
    sample: tuple[Tensor, ...]
    loss: Any
    options: Options
    is_tied: bool = False

    @property
    def kept(self) -> dict[str, int]:
        """Weights that are not masked out, by parameter."""
        masks: Mapping[str, Any] = self.options.masks
        return {
            name: int(masks[name].sum()) if name in masks else parameter.numel()
            for name, parameter in self.model.named_parameters()
        }


class Skips(nn.Module):
    """Layers of which some add what one before them gave, and perhaps a second head."""

    def __init__(self, layers: list[nn.Module], skips: dict[int, int], head: nn.Module) -> None:
        super().__init__()
        self.layers, self.head = nn.ModuleList(layers), head
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        given: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.skips:
                x = x + given[self.skips[number]]
            given.append(x)
        return self.head(x)


class Fork(nn.Module):
    """A stem that several chains read, whose outputs are joined or added."""

    def __init__(self, stem: nn.Module, arms: list[nn.Module], head: nn.Module, adds: bool) -> None:
        super().__init__()
        self.stem, self.arms, self.head, self.adds = stem, nn.ModuleList(arms), head, adds

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        found = [arm(x) for arm in self.arms]
        return self.head(sum(found[1:], found[0]) if self.adds else torch.cat(found, 1))


class Words(nn.Module):
    """An embedding, layers on tokens, and a head, perhaps with the embedding's own table."""

    def __init__(self, words: int, width: int, layers: int, tied: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(words, width)
        made = [nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)) for _ in range(layers)]
        self.layers = nn.ModuleList(made)
        self.head = nn.Linear(width, words, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.table(tokens)
        for layer in self.layers:
            h = h + torch.tanh(layer(h))
        return self.head(h)


def network(seed: int) -> Network:
    """A chain, one with skips, a fork, convolutions, an embedding with a tied head, or a chain of
    reversible layers."""
    rng = random.Random(f"network {seed}")
    kinds = (_chain, _skips, _fork, _images, _images, _words)
    make = rng.choice((*kinds, *kinds, *kinds, _reversible))
    torch.manual_seed(seed)
    model, sample, loss = make(rng)
    dtype = rng.choice(DTYPES)
    model = model.to(dtype)
    sample = tuple(x.to(dtype) if x.is_floating_point() else x for x in sample)
    is_tied = len(list(model.parameters())) < len(
        list(model.named_parameters(remove_duplicate=False))
    )
    return Network(model, sample, loss, _options(rng, model, is_tied), is_tied)


def _options(rng: random.Random, model: nn.Module, is_tied: bool) -> Options:
    kept = rng.choice((None, None, 0.1, 0.5, 0.9))
    weights = {n: p for n, p in model.named_parameters() if p.ndim > 1}
    masks = {} if kept is None or is_tied else {
        name: torch.rand(p.shape) < kept for name, p in weights.items() if rng.random() < 0.8
    }  # fmt: skip
    return Options(
        masks=masks,
        dynamic=tuple(masks)[: rng.choice((0, 0, 1))],
        optimizer_states=rng.choice((0, 1, 2)),
        granularity=rng.choice(("finest", "finest", "block")),
        recompute=rng.random() < 0.15,
        reversible=isinstance(model, ReversibleChain),
        anchor_every=rng.choice((0, 0, 2)) if isinstance(model, ReversibleChain) else 0,
        fit=rng.choice((None,) * 5 + ("auto",)),
        packing=rng.choice((None,) * 9 + ("int8",)),
        off_wafer=rng.choice((0,) * 7 + (4, 6)),
        mappings=rng.choice(("all",) * 9 + ("2021",)),
        witness=False,
    )


def _width(rng: random.Random) -> int:
    return rng.choice((4, 6, 8, 12, 17, 24, 32))


def _activation(rng: random.Random) -> nn.Module:
    return rng.choice((nn.ReLU, nn.GELU, nn.Tanh))()


def _scores() -> tuple[Tensor, Any]:
    return torch.zeros(1, dtype=torch.long), F.cross_entropy


def _chain(rng: random.Random) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    widths = [_width(rng) for _ in range(rng.randint(2, 9))]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=rng.random() < 0.5), _activation(rng)]
    label, loss = _scores()
    return (
        nn.Sequential(*layers, nn.Linear(widths[-1], 3)),
        (torch.zeros(1, widths[0]), label),
        loss,
    )


def _skips(rng: random.Random) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    width, count = _width(rng), rng.randint(2, 8)
    layers = [nn.Sequential(nn.Linear(width, width), _activation(rng)) for _ in range(count)]
    skips = {n: rng.randrange(n) for n in range(1, count) if rng.random() < 0.6}
    label, loss = _scores()
    return Skips([*layers], skips, nn.Linear(width, 3)), (torch.zeros(1, width), label), loss


def _fork(rng: random.Random) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    width, count, adds = _width(rng), rng.randint(2, 4), rng.random() < 0.5
    ends = [width if adds else _width(rng) for _ in range(count)]
    arms = []
    for end in ends:
        inner = [m for _ in range(rng.randint(0, 2)) for m in (nn.Linear(width, width), nn.ReLU())]
        arms.append(nn.Sequential(*inner, nn.Linear(width, end)))
    head = nn.Linear(width if adds else sum(ends), 3)
    label, loss = _scores()
    return Fork(nn.Linear(5, width), arms, head, adds), (torch.zeros(1, 5), label), loss


def _images(rng: random.Random) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    side, channels = rng.choice((4, 6, 8, 10)), rng.choice((2, 4, 6, 8))
    layers: list[nn.Module] = [nn.Conv2d(2, channels, 3, padding=1)]
    skips: dict[int, int] = {}
    for number in range(1, rng.randint(2, 6)):
        norm = rng.choice((nn.Identity, lambda: nn.GroupNorm(2, channels)))()
        layers.append(nn.Sequential(norm, nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)))
        if rng.random() < 0.4:
            skips[number] = rng.randrange(number)
    pooled = nn.AvgPool2d(2) if rng.random() < 0.5 else nn.Identity()
    size = channels * (side // 2 if isinstance(pooled, nn.AvgPool2d) else side) ** 2
    head = nn.Sequential(pooled, nn.Flatten(), nn.Linear(size, 3))
    label, loss = _scores()
    return Skips(layers, skips, head), (torch.zeros(1, 2, side, side), label), loss


def _words(rng: random.Random) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    words, tokens = rng.choice((8, 24, 60)), rng.choice((2, 4, 6))
    model = Words(words, rng.choice((4, 8, 12)), rng.randint(1, 4), rng.random() < 0.7)
    sample = torch.zeros(1, tokens, dtype=torch.long)
    return model, (sample, sample), _token_loss


def _token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _reversible(rng: random.Random) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    label, loss = _scores()
    model = reversible_network(rng.choice(("halves", "residual")), torch.float32)
    return model, (torch.zeros(1, 1, 8, 8), label), loss


def machine(seed: int) -> dict[str, Any]:
    """A target's file as data: a small mesh of any form with little memory, few colours, dead and
    slow cores, on one to three wafers."""
    rng = random.Random(f"machine {seed}")
    document = target_document()
    document["name"] = f"random{seed}"
    rows, columns = (rng.randint(2, rng.choice((5, 8, 14, 40))) for _ in range(2))
    chosen = {
        "grid.rows": rows,
        "grid.columns": columns,
        "grid.fabric_rows": rows + rng.randint(0, 4),
        "grid.fabric_columns": columns + rng.randint(0, 4),
        "sram.bytes_per_pe": rng.choice((2560, 3072, 4096, 6144, 12288, 49152)),
        "noc.link_bytes_per_cycle": rng.choice((1, 2, 4, 8)),
        "noc.hop_cycles": rng.choice((1, 1, 2, 3.5)),
        "noc.ramp_cycles": rng.choice((0, 2, 3)),
        "noc.colours": rng.choice((10, 12, 24, 24)),
        "noc.queues": rng.choice((6, 8, 8)),
        "wafers": rng.choice((1, 1, 2, 3)),
        "wafer_link.bytes_per_s": rng.choice((1e8, 1e9, 2e10)),
        "host.bytes_per_s": rng.choice((1e9, 4e9, 1e12)),
        "clock_hz": rng.choice((8.5e8, 1e9)),
    }
    for name, value in chosen.items():
        _put(document, name, value)
    document["compute"]["bfloat16"] = document["compute"]["float16"]
    if rng.random() < 0.5:
        document["defects"] = _defects(rng, rows, columns)
    return document


def _put(document: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for part in path:
        document = document[part]
    document[last] = {"value": value, "source": "drawn", "confidence": "assumed"}


def _defects(rng: random.Random, rows: int, columns: int) -> dict[str, Any]:
    spare, found = rng.randint(0, 3), dict[str, Any]()

    def core() -> list[int]:
        return [rng.randrange(rows + spare), rng.randrange(columns)]

    dead = [core() for _ in range(rng.randint(0, 4))]
    slow = [[*core(), rng.choice((20, 50, 75, 90))] for _ in range(rng.randint(0, 4))]
    values = {
        "spare_rows": spare,
        "dead_cores": [number for one in dead for number in one],
        "slow_cores": [number for one in slow for number in one],
        "least_speed_percent": rng.choice((1, 60)),
    }
    for name, value in values.items():
        _put(found, name, value)
    return found


def text_of(document: Mapping[str, Any]) -> str:
    """The file of a target."""
    return yaml.safe_dump(dict(document))
