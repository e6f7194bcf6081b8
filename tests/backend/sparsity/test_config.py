"""Sparsity sections in the form of published Cerebras recipes, on parameters of their names.

The forms are those of the model zoo's GPT recipes (static, rigl, vspdf) and of the examples in the
package's documentation (gmp, groups).
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml
from weft.backend.errors import UserError
from weft.sparsity import MaskRule, configure, kept_count

LINEAR = ("*proj_[qkv]_dense_layer.weight", "*proj_output_dense_layer.weight")
FILTER = f"""
param_filter:
- '{LINEAR[0]}'
- '{LINEAR[1]}'
- '*linear_layer.weight'
"""
STATIC_75 = "sparsity: 0.75\ninit_method: random\nalgorithm: static" + FILTER
VSPDF = "sparsity: 0.9\ninit_method: random" + FILTER
RIGL_75 = (
    """
sparsity: 0.75
init_method: random
algorithm: rigl
drop_fraction:
  type: cosine
  init: 0.3
  half_period: 17209
update:
  freq: 500
  stop: 17209
"""
    + FILTER
)
GMP = """
algorithm: gmp
sparsity: {type: Exp, init: 0, gamma: -0.000356674943938732}
update: {freq: 1000}
"""
GROUPS = """
groups:
- algorithm: set
  sparsity: 0.8
  param_filter: '*fc1*'
  update: {steps: [100, 200, 400]}
  params: {drop_fraction: [0.3, 0.2, 0.1]}
- type: static
  schedule: 0.5
"""


def parameters(width: int, inner: int) -> dict[str, torch.Tensor]:
    """A decoder of two blocks with the vendor's names."""
    found = {
        "model.embedding_layer.word_embeddings.weight": (100, width),
        "model.ln_f_norm.weight": (width,),
        "model.lm_head.weight": (100, width),
    }
    for block in range(2):
        where = f"model.transformer_decoder.layers.{block}"
        for name in ("q", "k", "v"):
            found[f"{where}.self_attn.proj_{name}_dense_layer.weight"] = (width, width)
        found[f"{where}.self_attn.proj_output_dense_layer.weight"] = (width, width)
        found[f"{where}.self_attn.proj_output_dense_layer.bias"] = (width,)
        found[f"{where}.ffn.ffn.0.linear_layer.weight"] = (inner, width)
        found[f"{where}.ffn.ffn.1.linear_layer.weight"] = (width, inner)
        found[f"{where}.norm1.weight"] = (width,)
    return {name: torch.empty(shape, device="meta") for name, shape in found.items()}


def rules(text: str) -> dict[str, MaskRule]:
    return configure(yaml.safe_load(text)).rules(parameters(64, 256))


@pytest.mark.parametrize(
    ("text", "sparsity"),
    [(STATIC_75, 0.75), (VSPDF, 0.9), (RIGL_75, 0.75)],
    ids=["static", "vspdf", "rigl"],
)
def test_the_six_matrices_of_every_block_are_sparse(text: str, sparsity: float) -> None:
    found = rules(text)
    assert len(found) == 12
    assert not any(part in name for name in found for part in ("embed", "norm", "lm_head", "bias"))
    for name, rule in found.items():
        elements = parameters(64, 256)[name].numel()
        assert rule.kept(0).sum() == kept_count(elements, sparsity)
        assert int(rule.first_mask(parameters(64, 256)[name]).sum()) == rule.kept(0).sum()


def test_rigl_anneals_its_drop_fraction_and_stops_at_80_percent_of_the_run() -> None:
    rule = next(iter(rules(RIGL_75).values()))
    assert [step for step in range(1, 21511) if rule.due(step)] == list(range(500, 17209, 500))
    group: Any = rule.group
    assert group.drop_at(0) == pytest.approx(0.3)
    assert group.drop_at(17209 // 2) == pytest.approx(0.15, abs=1e-4)
    assert group.drop_at(17209) == pytest.approx(0.0, abs=1e-9)


def test_gmp_keeps_seven_tenths_of_what_it_kept_every_thousand_steps() -> None:
    rule = next(iter(rules(GMP).values()))
    for thousand in range(5):
        assert rule.group.sparsity_at(1000 * thousand) == pytest.approx(1 - 0.7**thousand)


def test_groups_go_by_the_first_that_fits_and_their_keys_may_lie_in_params() -> None:
    found = configure(yaml.safe_load(GROUPS)).rules(
        {name: torch.empty(8, 8, device="meta") for name in ("a.fc1.weight", "a.fc2.weight")}
    )
    special: Any = found["a.fc1.weight"].group
    assert special.algorithm == "set"
    assert [special.drop_at(step) for step in (100, 200, 400)] == [0.3, 0.2, 0.1]
    assert found["a.fc2.weight"].group.sparsity_at(0) == 0.5


def test_a_missing_key_and_one_too_many_are_said_in_plain_words() -> None:
    with pytest.raises(UserError) as caught:
        configure({"algorithm": "rigl", "sparsty": 0.9})
    error = caught.value
    assert error.expected == "sparsity a value; sparsty no such key"
    assert error.got == "sparsity=nothing; sparsty=0.9"
