"""Low-rank adapters of frozen layers (LoRA, Hu et al. 2021): W = W0 + scale * B A.

Reading order: factors (B A of each kind of layer), layers (the layer with its adapter), adapt
(which layers of a model), merge (three ways back to plain layers), files (PEFT's names).
"""

from __future__ import annotations

from .adapt import LoRA, adapt, adapter_parameters
from .files import load, save
from .layers import Adapted
from .merge import Merged, merge

__all__ = ["Adapted", "LoRA", "Merged", "adapt", "adapter_parameters", "load", "merge", "save"]
