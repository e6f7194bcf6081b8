"""Recipes: a whole run as readable data. Unknown keys are refused; the resolved recipe is stored.

The classes hold the fields and their bounds; the text under a field is what `weft recipe show`
prints. `read.py` reads YAML and overrides into them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..plan.document import Granularity, Mappings
from .adapters import AdaptersRecipe
from .optimizer import OptimizerRecipe
from .part import Decay, Positive, RecipePart
from .upcycling import UpcyclingRecipe

REAL_LABELS = frozenset({"mse", "l1", "binary_cross_entropy"})
"""Losses whose labels are no numbers of classes."""


class ModelRecipe(RecipePart):
    """The network. `model: NAME` is short for `model: {name: NAME}`."""

    name: str
    """A name from `weft models`, FILE.py:NAME or package.module:NAME."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the function of that name, which returns the module."""


class InputRecipe(RecipePart):
    """One sample and its label. Left out, weft's own models have the shapes in `weft models`."""

    shape: tuple[Positive, ...]
    """Shape of one sample, without the batch dimension: empty for one number."""
    classes: Positive | None = None
    """Number of classes; models of weft need it."""
    dtype: Literal["float32", "bfloat16", "float16", "int64"] = "float32"
    """Type of a sample: that of the weights, or int64 for tokens."""
    label_shape: tuple[Positive, ...] = ()
    """Shape of a label: empty for one number; of a language model the window's shape."""
    label_dtype: Literal["int64", "float32"] = "int64"
    """Type of a label; float32 is for regression and for several labels at once, and what it is
    with the losses mse, l1 and binary_cross_entropy if left out."""
    mean: tuple[float, ...] = ()
    """With `deviation`: samples are fed as (x - mean) / deviation, one for all or one per channel;
    bytes are divided by 255 first."""
    deviation: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """See `mean`."""

    @model_validator(mode="after")
    def _both(self) -> InputRecipe:
        if bool(self.mean) != bool(self.deviation):
            raise ValueError("both mean and deviation, or neither")
        return self


class AugmentationRecipe(RecipePart):
    """What is done to training images at random, by the seed, the epoch and the sample's number."""

    pad_crop: Annotated[int, Field(ge=0)] = 0
    """Pixels of zero put around an image before its size is cut out again."""
    flip: bool = False
    """Mirror half of the images, left to right."""


class NormalizationRecipe(RecipePart):
    """The normalization that the named models are built with, and its options where set.

    `normalization: KIND` is short for `normalization: {kind: KIND}`. In a model of one's own norms
    are swapped only if this part is given.
    """

    kind: str = "online"
    """online, group, layer, rms or another of `weft.nn.norm_kinds()`."""
    alpha_fwd: Decay | None = None
    """Decay of the forward's moving statistics (online)."""
    alpha_bkw: Decay | None = None
    """Decay of the backward's error accumulators (online)."""
    eps: Annotated[float, Field(gt=0)] | None = None
    """Added to a variance before its root."""
    affine: bool | None = None
    """Whether it has a trained scale and shift."""
    ecm: Literal["clamp", "layer_scale", "none"] | None = None
    """How activations are kept from growing (online)."""
    clamp: Annotated[float, Field(gt=0)] | None = None
    """Bound of `ecm: clamp`, in deviations."""
    group_size: Positive | None = None
    """Channels that `ecm: layer_scale` takes together; null: all (online)."""
    groups: Positive | None = None
    """Number of groups (group, batch_channel)."""

    def options(self) -> dict[str, Any]:
        """The options that are set, as the layer's keyword arguments."""
        chosen = self.model_dump(exclude={"kind"}, exclude_none=True)
        return chosen | ({"ecm": None} if self.ecm == "none" else {})


class DepthRecipe(RecipePart):
    """Blocks of a residual network that are left out (docs/depth-pruning.md)."""

    remove: Annotated[int, Field(ge=0)] = 0
    """Consecutive blocks that are left out; 0: none."""
    first: Annotated[int, Field(ge=0)] | None = None
    """The first of them, from 0; `weft.nn.depth.best_run` says which turn the stream least."""
    blocks: str | None = None
    """Dotted name of the list of blocks in the model; null: the longest that there is."""

    @model_validator(mode="after")
    def _placed(self) -> DepthRecipe:
        if self.remove and self.first is None:
            raise ValueError("the first of the blocks to remove (depth.first)")
        return self


class PipelineRecipe(RecipePart):
    """How the model is cut and how delayed gradients are compensated."""

    granularity: Granularity = "finest"
    """finest: a stage for each layer with weights; block: for each block; auto: as fine as
    `max_stages`, `max_delay` and `activation_memory` allow."""
    stages: tuple[str, ...] = ()
    """Globs of module paths ("blocks.*"): every module that one matches is one stage."""
    recompute: bool = False
    """Keep a stage's input only, and compute the rest again in the backward."""
    reversible: bool = False
    """Keep nothing in stages of reversible layers: their backward rebuilds what it reads, exactly
    with compensation stash, nearly with the others."""
    anchor_every: Annotated[int, Field(ge=0)] = 0
    """Of so many reversible layers one keeps its inputs, to end errors of rebuilding; 0: none."""
    packing: Literal["int8", "fp8"] | None = None
    """Keep what stages save for their backward in 8 bits, with a scale for each group."""
    off_wafer: Annotated[int, Field(ge=0)] = 0
    """Keep the FIFOs of stages with a delay of at least so many updates with the host; 0: none."""
    max_stages: Positive | None = None
    """Limit of granularity auto: number of stages."""
    max_delay: Annotated[int, Field(ge=0)] | None = None
    """Limit of granularity auto: delay of the first stage, in updates."""
    activation_memory: Annotated[float, Field(gt=0)] = 0.5
    """Limit of granularity auto: share of the machine's memory that activation FIFOs may take."""
    fit: Literal["auto"] | None = None
    """auto: make stages reversible, recompute, coarsen, put FIFOs off the wafer, add wafers until
    the model fits."""
    mappings: Mappings = "all"
    """Of stages: all on one region; "apart": also with PEs of its own for the forward, where that
    pays; or "2021": features on columns of PEs, products in sequence, each sum waited for."""
    pe_memory: Positive | None = None
    """Bytes of a PE's memory that a stage may take at most; null: all. The mapper spends what is
    free on faster tilings: less of it makes plans that hold less and are slower."""
    loads: dict[str, tuple[Annotated[float, Field(ge=0)], ...]] = Field(default_factory=dict)
    """Of mixtures of experts, by globs of module paths, the recorded share of all rows that goes to
    each expert, for which their stages are timed; others are timed for even shares."""
    compensation: str | None = None
    """Of delayed gradients, one of `weft.optim.compensations()`; null: what suits the optimizer."""
    mode: Literal["pipelined", "sequential"] = "pipelined"
    """pipelined: a sample enters each tick and gradients are late; sequential: no delay."""


class TrainingRecipe(RecipePart):
    """Precision, guards and tests of a run."""

    precision: Literal["float32", "bfloat16"] | None = None
    """bfloat16 is mixed: activations, FIFOs and products; it and float32 need a plan of float32
    parameters. null: the types are the plan's."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Largest 2-norm of a stage's gradient, all its parameters together."""
    max_nonfinite: Positive = 25
    """A run stops after so many non-finite losses, or skipped updates of one stage, in a row."""
    evaluate_every: Positive | None = None
    """Samples between two tests; null: a test after each epoch."""
    averaged_statistics: Positive | None = None
    """Tests are at the moving statistics of normalizations averaged over so many latest samples,
    and the last one says how far scores spread at single ones; null: at those of the moment."""
    new_map: Literal["warn", "stop"] = "warn"
    """What happens when masks that changed do not fit the plan's map any more."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training samples that is held out and tested meanwhile; the test samples are
    then read once, at the end."""
    scores: tuple[str, ...] = ()
    """More than accuracy and loss: top5 (or any number), perplexity and dice of classes; dice, mae,
    mse and r2 of real-valued labels."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Threads that read samples ahead."""
    rebuilding_error: bool = False
    """Measure how far what reversible stages rebuild is from what they read, by stage."""


class SamplerRecipe(RecipePart):
    """Which training samples a pass takes. `sampler: KIND` is short for `sampler: {kind: KIND}`;
    the other keys are of self_paced."""

    kind: Literal["random", "self_paced"] = "random"
    """random: all, in random order; self_paced: those of low loss in each cluster of each class
    (docs/self-paced.md), pass after pass until as many updates are made."""
    clusters: Positive = 8
    """Clusters of each class."""
    embedding_epochs: Annotated[int, Field(ge=0)] = 15
    """Epochs in which the embedding that is clustered is trained; 0: the inputs are clustered."""
    threshold: Annotated[float, Field(gt=0)] | None = None
    """A loss below it is low, in nats where the loss is cross-entropy; null: there is no bound."""
    most_per_cluster: Positive | None = 500
    """Samples that a pass takes of a cluster at most; null: any number."""
    diversity: Annotated[float, Field(ge=0)] = 0.5
    """Added to the threshold for the first sample of a cluster, less for each one after it."""
    growth: Annotated[float, Field(ge=1)] = 1.1
    """Factor by which the three above grow after each pass."""
    choice: Literal["least", "first"] = "least"
    """least: those of least loss; first: the first `most_per_cluster` by index, a baseline."""


class DataRecipe(RecipePart):
    """What is trained on. `data: NAME` is short for `data: {name: NAME}`."""

    name: str | None = None
    """What `weft train` reads if it gets no --data: digits, a .npz file, a text file or others of
    `weft train --help`."""
    sampler: SamplerRecipe = SamplerRecipe()
    """Which samples a pass takes."""


class PhaseRecipe(RecipePart):
    """One phase of a run, with a learning-rate schedule and an optimizer state of its own."""

    epochs: Positive
    """Epochs of this phase."""
    dense: bool = False
    """Revive all pruned weights, which start at zero."""
    optimizer: dict[str, Any] = Field(default_factory=dict)
    """Keys of `optimizer` that this phase replaces."""


class TargetRecipe(RecipePart):
    """The machine. `target: NAME` is short for `target: {name: NAME}`."""

    name: str = "wse2"
    """A name from `weft targets`, or a YAML file."""
    overrides: dict[str, str] = Field(default_factory=dict)
    """Constants by dotted name; `--set target.clock_hz=1.1e9` sets one."""


class Recipe(RecipePart):
    """Everything a run needs: what to compile, for which target, and how to train it."""

    model: ModelRecipe
    """The network."""
    input: InputRecipe
    """One sample and its label."""
    loss: str = "cross_entropy"
    """cross_entropy of the model's scores, binary_cross_entropy of logits, mse, l1, 'model' if
    model(input, label) returns its own loss, or FILE.py:NAME of a function of prediction and
    label."""
    normalization: NormalizationRecipe = NormalizationRecipe()
    """The normalization of named models."""
    upcycling: UpcyclingRecipe = UpcyclingRecipe()
    """Feed-forward layers that become mixtures of experts."""
    sparsity: Any = None
    """A share, one configuration, or a list of them: the keys are in docs/sparsity.md."""
    adapters: AdaptersRecipe = AdaptersRecipe()
    """What trains of a frozen model."""
    optimizer: OptimizerRecipe = OptimizerRecipe()
    """The update rule."""
    depth: DepthRecipe = DepthRecipe()
    """Blocks that are left out."""
    pipeline: PipelineRecipe = PipelineRecipe()
    """How the model is cut."""
    augmentation: AugmentationRecipe = AugmentationRecipe()
    """Random changes of training images."""
    training: TrainingRecipe = TrainingRecipe()
    """Precision, guards and tests."""
    target: TargetRecipe = TargetRecipe()
    """The machine."""
    data: DataRecipe = DataRecipe()
    """What is trained on."""
    epochs: Positive = 10
    """Passes over the training samples; with a sampler that leaves some out, as many updates."""
    phases: tuple[PhaseRecipe, ...] = ()
    """Phases in order, whose epochs replace `epochs`."""
    seed: int = 0
    """Of weights, masks, dropout, augmentation and the order of samples."""
