"""Whether what a plan predicts is what the model predicts in evaluation mode.

A forward may do something else there than weft takes from training: without its noise, with other
statistics, through another branch of `if self.training`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only

from ..capture.sample import TARGET, OneSample, Sample, arguments, results_of
from ..plan.program import Stages
from .compare import relative_distance
from .draws import Replay
from .eager import claimed_type, fresh, values_in
from .evaluation import without_draws
from .precision import Claimed, Wide
from .staged import StagedRun

_NEAR = {torch.float64: 1e-5, torch.float32: 1e-2}
"""Largest norm of a difference, in norms of a prediction: the mean of a mask may stand beside an
epsilon, as in torchvision's DropBlock."""


def predictions(
    sample: OneSample, inputs: Sample, values: Mapping[str, Tensor], dtype: torch.dtype
) -> tuple[Tensor, ...] | None:
    """Outputs of the model in evaluation mode, computed in `dtype`; None where it cannot be run so.

    The model is afterwards as it was.
    """
    draws, claimed = Replay(0, dtype), claimed_type(sample)
    with (
        values_in(sample, values),
        draws.drawing(),
        sdpa_kernel(SDPBackend.MATH),
        Claimed(dtype, claimed),
        Wide(dtype, draws),
    ):
        sample.model.eval()
        args, named = arguments(tree_map_only(Tensor, lambda t: fresh(t, dtype), inputs))
        if sample.loss is not None:
            args, named = args[:-1], {key: value for key, value in named.items() if key != TARGET}
        try:
            results = results_of(sample.model(*args, **named))
        except Exception:  # of the user's forward, which may want something else there
            return None
        return tuple(value.detach().clone() for value in results[sample.loss is None :])


def are_alike(
    expected: Sequence[Tensor] | None, stages: Stages, held: Sequence[int], run: StagedRun
) -> bool:
    """Whether the predictions of stages that draw nothing are `expected`.

    `held` has for each prediction of the stages the number of the model's output; outputs that the
    model has in one of its modes only are left aside. `run` is a forward in training mode.
    """
    if expected is None:
        return False
    quiet = without_draws(stages).stages
    if any(
        q.program.forward is not s.program.forward
        for q, s in zip(quiet, stages.stages, strict=True)
    ):
        run = StagedRun(quiet, run.tensors, run.inputs, run.dtype)
        run.forward()
    pairs = zip(held, stages.predictions, strict=True)
    return all(
        relative_distance(_real(expected[number]), _real(run.values[source])) <= _NEAR[run.dtype]
        for number, source in pairs
        if number < len(expected)
    )


def _real(value: Tensor) -> Tensor:
    """Whole numbers as real ones: they may be made of some, and then be the next ones."""
    return value if value.is_floating_point() or value.is_complex() else value.double()
