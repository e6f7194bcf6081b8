"""Runs of the shipped recipes with adapters go on to the same bits after SIGKILL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import weft
from helpers.killed import train_until_killed
from helpers.plans_to_train import assert_same_end
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import shipped_recipe

SMALL = ["model.options.width=16", "epochs=1"]
PARTS = {"train": 120, "test": 16}


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["reference", "jax"])
@pytest.mark.parametrize("name", ["lora", "lora_sparse"])
def test_adapters_end_in_the_same_bits_after_a_kill(
    name: str, executor: str, tmp_path: Path
) -> None:
    """The frozen weights end as they began."""
    data, generator = tmp_path / "data.npz", np.random.default_rng(0)
    images = {f"x_{part}": generator.random((n, 1, 8, 8), np.float32) for part, n in PARTS.items()}
    labels = {f"y_{part}": generator.integers(0, 10, n) for part, n in PARTS.items()}
    np.savez(data, **images, **labels)
    plan = compile_recipe(shipped_recipe(name, SMALL), witness=False)
    plan.save(tmp_path / "plan")
    whole = weft.train(plan, str(data), executor=executor)
    train_until_killed(tmp_path / "plan", str(data), tmp_path / "kept", executor)
    run = weft.train(plan, str(data), resume=tmp_path / "kept")
    assert 0 < run.first_loss < len(whole.losses)
    assert_same_end(run, whole)
    for key, value in run.tensors.items():
        if "base_layer" in key:
            assert value.equal(plan.tensors[key])


@pytest.mark.slow
def test_a_soft_prompt_ends_in_the_same_bits_after_a_kill(tmp_path: Path) -> None:
    """All but the virtual tokens ends as it began."""
    small = ["model.options.width=8", "model.options.blocks=1", "target=tiny_mesh", "epochs=1"]
    plan = compile_recipe(shipped_recipe("soft_prompt", small), witness=False)
    plan.save(tmp_path / "plan")
    text = tmp_path / "text"
    text.write_bytes(np.random.default_rng(0).integers(97, 120, 2000, dtype=np.uint8).tobytes())
    whole = weft.train(plan, str(text), executor="reference")
    train_until_killed(tmp_path / "plan", str(text), tmp_path / "kept", "reference")
    run = weft.train(plan, str(text), resume=tmp_path / "kept")
    assert 0 < run.first_loss < len(whole.losses)
    assert_same_end(run, whole)
    moved = {key for key, value in run.tensors.items() if not value.equal(plan.tensors[key])}
    assert moved == {"model.bytes.prompt"}
