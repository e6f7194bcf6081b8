"""Soft prompts (Lester et al. 2021): trained virtual tokens before a frozen model's own."""

from __future__ import annotations

from .files import load_prompt, save_prompt
from .soft_prompt import SoftPrompt

__all__ = ["SoftPrompt", "load_prompt", "save_prompt"]
