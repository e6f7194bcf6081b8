"""The FLOP ledger: what training costs per sample and per run, dense and with sparse weights."""

from __future__ import annotations

from .gpt import GPT2_SMALL, GPT3_XL, GPTShape, gpt_ledger
from .ledger import Flops, Layer, Ledger, WorkKind, run_flops
from .module import module_ledger

__all__ = [
    "GPT2_SMALL",
    "GPT3_XL",
    "Flops",
    "GPTShape",
    "Layer",
    "Ledger",
    "WorkKind",
    "gpt_ledger",
    "module_ledger",
    "run_flops",
]
