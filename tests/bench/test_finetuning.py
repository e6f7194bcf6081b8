"""LoRA beside full fine-tuning, as plans of Llama-2-7B."""

from __future__ import annotations

import pytest
from weft.bench.finetuning import FULL, Row, Setting, case, finetuning

LARGE = 4096 * (4 * 4096 + 3 * 11008)
"""Weights of a layer that are multiplied with."""


def test_a_layer_beside_full_fine_tuning() -> None:
    """Counts are exact: r times 2,498,560 / 32 weights train, each base product has one backward
    product less, and A and B three each, but where nothing before them trains."""
    pytest.importorskip("transformers")
    setting = Setting(layers=1, tokens=16, recompute=False)
    full, lora = finetuning(setting, wafers=1)
    assert (full.way, lora.way) == (FULL, "LoRA, r = 16")
    assert full.trained == 2 * 4096 * 32000 + LARGE + 3 * 4096
    assert lora.trained == 16 * 2_498_560 // 32
    gradients = LARGE + 4096 * 32000
    qkv = 3 * 4096 * 4096  # their input needs no gradient, nor that of their A
    added = 3 * lora.trained - 3 * 16 * 4096
    assert full.macs - lora.macs == 16 * (gradients + qkv - added)
    assert lora.bytes["optimizer"] < 0.05 * full.bytes["optimizer"]


@pytest.mark.slow
def test_llama_2_7b() -> None:
    """Each on the fewest wafers that hold it: at most 45 % of the bytes, 75 % of the PE cycles."""
    pytest.importorskip("transformers")
    full, lora = finetuning(Setting())
    assert full.trained == 6_738_415_616
    assert lora.trained == 39_976_960
    assert lora.total_bytes <= 0.45 * full.total_bytes
    assert lora.pe_cycles <= 0.75 * full.pe_cycles
    assert lora.macs <= 0.75 * full.macs
    assert lora.wafers < full.wafers


@pytest.mark.slow
def test_llama_2_7b_on_equal_wafers() -> None:
    """Of two wafers with the same options, where LoRA takes 19.7 kB of a PE at most: 45 % of the
    bytes, 86 % of the interval. At equal tilings 81 % of the cycles are left, of 74 % of the
    multiply-adds."""
    pytest.importorskip("transformers")
    full, lora = finetuning(Setting(pe_memory=(19_700,)), wafers=2)
    assert lora.wafers == full.wafers == 2
    assert lora.total_bytes <= 0.45 * full.total_bytes
    assert lora.interval_cycles <= 0.86 * full.interval_cycles


def test_all_of_the_model_but_its_adapters_is_frozen() -> None:
    pytest.importorskip("transformers")
    model = case(Setting(layers=1), adapted=True).model
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == 14
    assert all("lora_" in name for name in trained)


def test_sums_of_a_row() -> None:
    row = Row("full", 1, 1, 2, {"weights": 3, "workspace": 4}, 10, 5.0, 6)
    assert (row.total_bytes, row.pe_cycles) == (7, 50)
