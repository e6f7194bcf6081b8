"""The states of a residual stream by any executor: the calibration run of depth pruning."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..backend.nn.depth import BlockList, StreamStates
from ..backend.nn.depth.blocks import standing_still
from ..backend.optim import Constant, build_rule
from ..compiler.capture.capture import capture, own_tensors
from ..compiler.capture.sample import OneSample
from ..compiler.stages.cut import cut
from ..runtime.executors import evaluate
from ..runtime.tick.job import Job


class _WithLoss(nn.Module):
    """States beside a loss, which a graph that trains must have and nothing reads here."""

    def __init__(self, states: StreamStates) -> None:
        super().__init__()
        self.states = states

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = self.states(x)
        return found.square().mean(), found


def calibrated_states(
    model: nn.Module,
    blocks: BlockList,
    inputs: np.ndarray,
    tokens: bool = True,
    span: range | None = None,
    *,
    executor: str = "jax",
    device: str | None = None,
) -> np.ndarray:
    """States (samples, blocks + 1, features) of inputs (samples, ...), as of `stream_states`.

    Each sample goes through the model's stages on an executor, in evaluation. Raises what
    `weft.compile` raises for the model, and what executors raise.
    """
    module = _WithLoss(StreamStates(model, blocks, tokens, span))
    sample = (torch.from_numpy(inputs[:1]),)
    with standing_still(model):
        graph = capture(module, sample, None)
    tensors = {**graph.constants, **own_tensors(OneSample(module, None))}
    job = Job(cut(graph), tensors, {}, build_rule("sgdm", compensation="none"), Constant(1.0))
    return evaluate(executor, job, [inputs], device)[0].reshape(len(inputs), -1, _width(job))


def _width(job: Job) -> int:
    source = job.stages.predictions[0]
    return job.stages.stages[source.stage].program.outputs[source.output].shape[-1]
