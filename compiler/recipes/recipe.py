"""Recipes: a whole run as readable data. Unknown keys are refused; the resolved recipe is stored.

The classes hold the fields and their bounds; `read.py` reads YAML and overrides into them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..stages.coarsen import Granularity
from .optimizer import OptimizerRecipe
from .part import Decay, Part, Positive


class ModelRecipe(Part):
    """A name from `weft models`, 'FILE.py:NAME' or 'package.module:NAME'.

    `options` go to the function of that name, which returns the module.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class InputRecipe(Part):
    """Shape of one sample, without the batch dimension, and the number of classes.

    Models of weft need `classes`. `dtype` int64 is for tokens. `label_shape` is empty for one label
    per sample; a language model has one per token: the window's shape. `label_dtype` float32 is for
    regression and for several labels at once. With `mean` and `deviation`, one for all or one per
    channel, samples are fed as (x - mean) / deviation; bytes are divided by 255 first.
    """

    shape: Annotated[tuple[Positive, ...], Field(min_length=1)]
    classes: Positive | None = None
    dtype: Literal["float32", "int64"] = "float32"
    label_shape: tuple[Positive, ...] = ()
    label_dtype: Literal["int64", "float32"] = "int64"
    mean: tuple[float, ...] = ()
    deviation: tuple[Annotated[float, Field(gt=0)], ...] = ()

    @model_validator(mode="after")
    def _both(self) -> InputRecipe:
        if bool(self.mean) != bool(self.deviation):
            raise ValueError("both mean and deviation, or neither")
        return self


class AugmentationRecipe(Part):
    """What is done to training images at random, by the seed, the epoch and the sample's number.

    `pad_crop` pads by so many pixels of zero and cuts the image's size out again; `flip` mirrors
    half of the images.
    """

    pad_crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False


class NormalizationRecipe(Part):
    """The normalization that the named models are built with, and its options where set."""

    kind: str = "online"
    alpha_fwd: Decay | None = None
    alpha_bkw: Decay | None = None
    eps: Annotated[float, Field(gt=0)] | None = None
    affine: bool | None = None
    ecm: Literal["clamp", "layer_scale", "none"] | None = None
    clamp: Annotated[float, Field(gt=0)] | None = None
    group_size: Positive | None = None
    groups: Positive | None = None

    def options(self) -> dict[str, Any]:
        """The options that are set, as the layer's keyword arguments."""
        chosen = self.model_dump(exclude={"kind"}, exclude_none=True)
        return chosen | ({"ecm": None} if self.ecm == "none" else {})


class PipelineRecipe(Part):
    """How the model is cut and how delayed gradients are compensated.

    `stages` are globs of module paths ("blocks.*"): every module that one matches is one stage.
    The limits of granularity 'auto': stages, updates of delay of the first stage, and the share of
    the machine's memory that activation FIFOs may take. `fit: auto` pulls levers until it fits.
    `compensation` is one of `weft.optim.compensations()`; null: the one that suits the optimizer.
    """

    granularity: Granularity = "finest"
    stages: tuple[str, ...] = ()
    recompute: bool = False
    max_stages: Positive | None = None
    max_delay: Annotated[int, Field(ge=0)] | None = None
    activation_memory: Annotated[float, Field(gt=0)] = 0.5
    fit: Literal["auto"] | None = None
    compensation: str | None = None
    mode: Literal["pipelined", "sequential"] = "pipelined"


class TrainingRecipe(Part):
    """Precision, guards and tests of a run.

    `precision` bfloat16 is mixed: activations, FIFOs and products; it and float32 need a plan of
    float32 parameters. null: the types are the plan's. `clip_norm` cuts the 2-norm of each stage's
    gradient, all its parameters together. A run stops after `max_nonfinite` non-finite losses, or
    skipped updates of one stage, in a row. It is tested every `evaluate_every` samples; null: after
    each epoch. `new_map` says what happens when masks that changed do not fit the plan's map any
    more. A share `validation` of the training samples is held out and tested meanwhile; the test
    samples are then read once, at the end. `scores` asks for more than accuracy and loss: top5 (or
    any number), perplexity and dice of classes; dice, mae, mse and r2 of real-valued labels.
    `workers` threads read samples ahead.
    """

    precision: Literal["float32", "bfloat16"] | None = None
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    max_nonfinite: Positive = 25
    evaluate_every: Positive | None = None
    new_map: Literal["warn", "stop"] = "warn"
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    scores: tuple[str, ...] = ()
    workers: Annotated[int, Field(ge=0)] = 2


class PhaseRecipe(Part):
    """One phase of a run, with a learning-rate schedule and an optimizer state of its own.

    `dense` revives all pruned weights, which start at zero; `optimizer` replaces keys of the
    recipe's optimizer.
    """

    epochs: Positive
    dense: bool = False
    optimizer: dict[str, Any] = Field(default_factory=dict)


class TargetRecipe(Part):
    """A name from `weft targets` or a YAML file; `overrides` replace constants by dotted name."""

    name: str = "wse2"
    overrides: dict[str, str] = Field(default_factory=dict)


class Recipe(Part):
    """Everything a run needs: what to compile, for which target, and how to train it.

    `loss` is 'cross_entropy' of the model's scores, 'binary_cross_entropy' of logits, 'mse', 'l1',
    'model' if model(input, label) returns its own loss, or 'FILE.py:NAME' of a function of
    prediction and label.
    `sparsity` takes what `weft.sparsity.configure` takes (a share, one configuration, or a list).
    With `phases`, a run goes through them in order, and their epochs replace `epochs`.
    """

    model: ModelRecipe
    input: InputRecipe
    loss: str = "cross_entropy"
    normalization: NormalizationRecipe = NormalizationRecipe()
    sparsity: Any = None
    optimizer: OptimizerRecipe = OptimizerRecipe()
    pipeline: PipelineRecipe = PipelineRecipe()
    augmentation: AugmentationRecipe = AugmentationRecipe()
    training: TrainingRecipe = TrainingRecipe()
    target: TargetRecipe = TargetRecipe()
    data: str | None = None
    epochs: Positive = 10
    phases: tuple[PhaseRecipe, ...] = ()
    seed: int = 0
