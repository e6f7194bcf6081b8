"""Experts of transformers are captured in one of their equal forms, and are as before after it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn
from weft.compiler.capture.mixture_of_experts import routed_experts


class Experts(nn.Module):
    def __init__(self, config: object) -> None:
        super().__init__()
        self.config = config


def test_the_form_is_chosen_for_all_and_given_back_also_after_an_error() -> None:
    pytest.importorskip("transformers.integrations.moe", reason="needs transformers")
    shared = SimpleNamespace(_experts_implementation="grouped_mm")
    other = SimpleNamespace(_experts_implementation=None)
    model = nn.Sequential(Experts(shared), Experts(shared), Experts(other), nn.ReLU())
    try:
        with routed_experts(model):
            assert shared._experts_implementation == "weft"
            assert other._experts_implementation is None
            raise ValueError
    except ValueError:
        pass
    assert shared._experts_implementation == "grouped_mm"
