"""Runs the programs of stages one after the other: no pipeline, no delay, no update."""

from __future__ import annotations

import torch
from weft.compiler.plan.program import HOST, Stages


def forward_backward(stages: Stages, tensors, sample):
    """Loss, predictions, gradients by parameter name, and the next state by name."""
    values = {(HOST, i): value for i, value in enumerate(sample)}
    saved, next_state = {}, {}
    for stage in stages.stages:
        program = stage.program
        results = program.forward(
            *(tensors[name] for name in stage.parameters),
            *(tensors[name] for name in stage.forward_state),
            *(values[source.stage, source.output] for source in stage.inputs),
        )
        outputs = len(program.outputs)
        states = outputs + len(program.forward_state)
        values |= {(stage.index, i): value for i, value in enumerate(results[:outputs])}
        next_state |= dict(zip(stage.forward_state, results[outputs:states], strict=True))
        saved[stage.index] = results[states:]
    gradients, arriving = {}, {}
    loss = stages.loss
    arriving[loss.stage, loss.output] = torch.ones_like(values[loss.stage, loss.output])
    for stage in reversed(stages.stages):
        program = stage.program
        tangents = [
            arriving.get((stage.index, i), torch.zeros(spec.shape, dtype=spec.torch_dtype))
            for i, spec in enumerate(program.outputs)
            if program.output_needs_grad[i]
        ]
        results = list(
            program.backward(
                *(tensors[name] for name in stage.parameters),
                *(tensors[name] for name in stage.backward_state),
                *saved[stage.index],
                *tangents,
            )
        )
        for name, trained in zip(stage.parameters, program.trainable, strict=True):
            if trained:
                gradients[name] = results.pop(0)
        for source, needed in zip(stage.inputs, program.input_needs_grad, strict=True):
            if needed:
                key = source.stage, source.output
                arriving[key] = arriving.get(key, 0) + results.pop(0)
        next_state |= dict(zip(stage.backward_state, results, strict=True))
    predictions = [values[p.stage, p.output] for p in stages.predictions]
    return values[loss.stage, loss.output], predictions, gradients, next_state
