"""Low-rank adapters of frozen layers (LoRA, Hu et al. 2021): W = W0 + scale * B A.

Reading order: config, factors (B A of each kind of layer), layers (the layer with its adapter),
checks, adapt (which layers of a model), merge (three ways back to plain layers), files (PEFT's
names).
"""

from __future__ import annotations

from .adapt import adapt, adapter_parameters
from .config import LoRA
from .files import load, save
from .layers import Adapted
from .merge import Merged, merge

__all__ = ["Adapted", "LoRA", "Merged", "adapt", "adapter_parameters", "load", "merge", "save"]
