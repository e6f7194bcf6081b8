"""One probe: whether weft takes it, and whether executors compute what eager torch does.

Loss, outputs and gradients are compared in float64: the gradient is what one step of plain SGD with
learning rate 1 takes off a parameter. The reference executor and JAX run the plan as it is made
without a witness; the witness judges it for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np
import torch
from torch import Tensor

from ...backend.errors import UserError, WitnessError
from ...backend.optim import build_rule
from ...compiler.capture.capture import capture
from ...compiler.capture.graph import Graph
from ...compiler.capture.sample import OneSample
from ...compiler.emit.emit import Labels
from ...compiler.pipeline import lower
from ...compiler.plan.check import check
from ...compiler.plan.program import Stages
from ...compiler.plan.training import Training
from ...compiler.stages.cut import cut
from ...compiler.stages.group import sample_dependent
from ...compiler.targets.target import Target
from ...compiler.witness.witness import Witness
from ...runtime.jax.executor import JaxExecutor
from ...runtime.reference.executor import ReferenceExecutor
from ...runtime.tick.job import Job
from ..target import large_target
from .probe import Probe

VerdictKind = Literal["right", "refused", "wrong", "none"]
_TOLERANCE = 1e-8
"""Norm of a difference, in norms of what is expected and of the largest number of the probe."""


@dataclass(frozen=True)
class SampleVerdict:
    """`right`; `refused` or `wrong` for a `reason`; `none` where eager torch has no answer.

    `jax` is 'right', why JAX refuses what the reference executor takes, or '' if it was not asked.
    """

    kind: VerdictKind
    reason: str = ""
    jax: str = ""


@dataclass(frozen=True)
class Answer:
    """What eager torch gives for a probe: gradients by parameter, none for one without."""

    loss: Tensor
    outputs: tuple[Tensor, ...]
    gradients: Mapping[str, Tensor]

    @property
    def is_finite(self) -> bool:
        """Whether executors would update with it: they skip what is not finite."""
        values = (self.loss, *self.gradients.values())
        return all(bool(torch.isfinite(value).all()) for value in values)


def wide_target() -> Target:
    """A machine no probe is too large for, which computes in float64 as fast as in float32."""
    target = large_target()
    return replace(target, compute={**target.compute, "float64": target.compute["float32"]})


def answered(probes: Iterator[Probe]) -> tuple[Probe, Answer] | None:
    """The first probe that eager torch can differentiate, and its answer."""
    for probe in probes:
        try:
            loss, *outputs = probe(*probe.given)
            if not loss.requires_grad:
                continue
            loss.backward()
        except (RuntimeError, NotImplementedError, ValueError, TypeError):
            continue
        named = {name: value.grad for name, value in probe.named_parameters()}
        probe.zero_grad()
        gradients = {
            name: grad.to_dense() if grad.is_sparse else grad
            for name, grad in named.items()
            if grad is not None
        }
        return probe, Answer(loss.detach(), tuple(o.detach() for o in outputs), gradients)
    return None


def judge(probe: Probe, answer: Answer, target: Target, with_jax: bool) -> SampleVerdict:
    """Compile the probe, check its plan, and hold its numbers against eager torch's."""
    given = tuple(probe.given)
    try:
        graph = capture(probe, given, None)
        stages = cut(graph)
        plan = lower(stages, target, Training(), Labels("probe"))
        violations = check(plan.document, target, plan.programs)
        if violations:
            return SampleVerdict("wrong", f"unsound plan: {violations[0]}")
        job = _job(probe, graph, stages)
    except UserError as error:
        return SampleVerdict("refused", reason_of(error))
    except Exception as error:  # a mistake of weft, where a plan or a refusal should be
        return SampleVerdict("wrong", f"{type(error).__name__}: {str(error).strip()[:200]}")
    is_random = any("draw" in node.meta for node in graph.module.graph.nodes)
    try:
        said = "" if is_random else _executed(ReferenceExecutor(job), probe, graph, answer)
        said = said or _witnessed(probe, graph, stages)
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).strip()[:200]}"
    if said:
        return SampleVerdict("wrong", said)
    asks_jax = with_jax and not is_random
    return SampleVerdict("right", jax=_by_jax(job, probe, graph, answer) if asks_jax else "")


def reason_of(error: UserError) -> str:
    """Why weft refuses, without the place."""
    return str(error.got).split(" (node")[0].splitlines()[0][:120]


def _job(probe: Probe, graph: Graph, stages: Stages) -> Job:
    tensors = {**graph.constants, **dict(probe.named_parameters()), **dict(probe.named_buffers())}
    return Job(stages, tensors, {}, build_rule("sgdm", momentum=0.0), lambda update: 1.0)


def _witnessed(probe: Probe, graph: Graph, stages: Stages) -> str:
    try:
        Witness(OneSample(probe, None), tuple(probe.given), graph)(stages)
    except WitnessError as error:
        return f"by the witness: {error.got}"
    except UserError:
        return ""  # what it cannot run itself
    return ""


def _by_jax(job: Job, probe: Probe, graph: Graph, answer: Answer) -> str:
    with jax.enable_x64(True):
        try:
            said = _executed(JaxExecutor(job, chunk=1), probe, graph, answer)
        except UserError as error:
            return reason_of(error)
        except Exception as error:  # a mistake of weft
            said = f"{type(error).__name__}: {str(error).strip()[:200]}"
    return f"wrong: {said}" if said else "right"


def _executed(
    executor: ReferenceExecutor | JaxExecutor, probe: Probe, graph: Graph, answer: Answer
) -> str:
    """What an executor gives another number for; '' if all are the same."""
    fed, drained = executor.feed([value.numpy() for value in probe.given]), executor.flush()
    made = fed if len(fed.losses.values) else drained
    pairs: list[tuple[str, Tensor, Any]] = [("loss", answer.loss, made.losses.values[0])]
    for number, expected in enumerate(_shown(graph, answer)):
        rows = [*fed.predictions[number].values, *drained.predictions[number].values]
        pairs.append((f"output {number}", expected, rows[0]))
    if answer.is_finite:
        after = executor.tensors()
        for name, before in probe.named_parameters():
            if name in after:
                usual = torch.isfinite(before.detach())  # of others nothing can be taken off
                step = (before.detach() - after[name])[usual]
                expected = answer.gradients.get(name, torch.zeros_like(before))[usual]
                pairs.append((f"gradient of {name}", expected, step))
    largest = max((_size(torch.as_tensor(one)) for _, one, _ in pairs), default=0.0)
    largest += max((_size(value.detach()) for value in probe.parameters()), default=0.0)
    return "; ".join(name for name, one, other in pairs if not _same(one, other, largest))


def _shown(graph: Graph, answer: Answer) -> list[Tensor]:
    """The outputs that depend on the sample, which executors give."""
    dependent = {node.name for node in sample_dependent(graph)}
    pairs = zip(graph.predictions, answer.outputs, strict=True)
    return [output for name, output in pairs if name in dependent]


def _size(value: Tensor) -> float:
    usual = value[torch.isfinite(value)]
    return float(torch.linalg.vector_norm(usual.to(torch.complex128))) if usual.numel() else 0.0


def _same(expected: Tensor, got: Any, largest: float) -> bool:
    found = got if isinstance(got, Tensor) else torch.as_tensor(np.array(got))
    found = found.reshape(expected.shape)
    if not (expected.is_floating_point() or expected.is_complex()):
        return bool((expected == found).all())
    one, other = expected.to(torch.complex128), found.to(torch.complex128)
    if not torch.equal(torch.isfinite(one), torch.isfinite(other)):
        return False
    usual = torch.isfinite(one)
    apart = float(torch.linalg.vector_norm((one - other)[usual]))
    return apart <= _TOLERANCE * _size(one) + 1e-13 * largest
