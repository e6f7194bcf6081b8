"""The networks that are timed, their samples, and what is done with a gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...backend.errors import UnknownNameError
from ...backend.nn import resnet
from ...backend.nn.norm_swap import replace_norms
from ...backend.optim import compensations
from ...backend.packages import model_package
from ..models.bytes_model import ByteModel, byte_loss

RATE, MOMENTUM = 1e-4, 0.9
HEADS, WINDOW = 8, 64


@dataclass(frozen=True)
class Update:
    """What all loops do with a gradient; only weft's pipeline is in need of a compensation.

    `clip_norm` is that of all gradients of a sample together, and in weft of those of a stage.
    The pipeline is timed with each of `compensations`.
    """

    weight_decay: float = 0.0
    clip_norm: float | None = None
    compensations: tuple[str, ...] = ("none",)
    name: str = "plain"


UPDATES: Mapping[str, Update] = {
    "plain": Update(),
    "compensated": Update(2e-4, 1.0, ("sc+lwp",), "compensated"),
}


@dataclass(frozen=True)
class TimedCase:
    """A network, its loss, the samples (x, y) of a round with one row each, and its update.

    `in_batches` is the network as it is trained in batches, with BatchNorm, where it has a norm.
    """

    name: str
    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    x: np.ndarray
    y: np.ndarray
    update: Update = Update()
    in_batches: nn.Module | None = None

    @property
    def samples(self) -> int:
        """Samples of a round."""
        return len(self.x)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of parameters and buffers by name."""
        named = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        return {name: value.detach().clone() for name, value in named.items()}


def make_case(
    name: str, samples: int, update: str = "plain", compensation: tuple[str, ...] = ()
) -> TimedCase:
    """One of CASES with one of UPDATES, or with other compensations than the update's.

    Raises UnknownNameError for names that are not there.
    """
    named = [("network", name, CASES), ("update", update, UPDATES)]
    named += [("delay compensation", given, compensations()) for given in compensation]
    for kind, given, known in named:
        if given not in known:
            raise UnknownNameError(kind, given, tuple(known), "weft bench run --help")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        case = CASES[name](np.random.default_rng(0), samples)
    chosen = UPDATES[update]
    return replace(case, update=replace(chosen, compensations=compensation or chosen.compensations))


def _mlp(generator: np.random.Generator, samples: int) -> TimedCase:
    layers = [layer for _ in range(10) for layer in (nn.Linear(256, 256), nn.ReLU())][:-1]
    x = generator.standard_normal((samples, 1, 256)).astype(np.float32)
    y = generator.integers(0, 256, (samples, 1))
    return TimedCase("mlp", nn.Sequential(*layers), F.cross_entropy, x, y)


def _gpt(generator: np.random.Generator, samples: int) -> TimedCase:
    model = ByteModel(blocks=6, width=256, heads=HEADS, window=WINDOW)
    text = generator.integers(0, 256, (samples, 1, WINDOW + 1))
    return TimedCase("gpt", model, byte_loss, text[..., :-1], text[..., 1:])


def _resnet20(generator: np.random.Generator, samples: int) -> TimedCase:
    batches = resnet(20, normalization="batch")
    return _images("resnet20", resnet(20), batches, generator, samples)


def _resnet18(generator: np.random.Generator, samples: int) -> TimedCase:
    """That of torchvision with Online Normalization, on images of CIFAR-10's size."""
    torchvision = model_package("torchvision")
    batches = torchvision.models.resnet18(num_classes=10)
    model = replace_norms(copy.deepcopy(batches), "online")
    return _images("resnet18", model, batches, generator, samples)


def _images(
    name: str, model: nn.Module, batches: nn.Module, generator: np.random.Generator, samples: int
) -> TimedCase:
    x = generator.standard_normal((samples, 1, 3, 32, 32)).astype(np.float32)
    y = generator.integers(0, 10, (samples, 1))
    return TimedCase(name, model, F.cross_entropy, x, y, in_batches=batches)


CASES: Mapping[str, Callable[[np.random.Generator, int], TimedCase]] = {
    "mlp": _mlp,
    "gpt": _gpt,
    "resnet20": _resnet20,
    "resnet18": _resnet18,
}
