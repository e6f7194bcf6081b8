"""Groups of stages on several devices equal one device; tried on eight virtual ones.

The devices need a process of their own: jax counts them once, when it starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax")

# Devices compute what one computes, stage by stage, but XLA may fuse the branches of the program
# otherwise: seen are differences of none to 6e-16 in float64 and, after 60 updates of the decoder,
# 5e-7 in float32. A value that is a tick late shows in the first digits.
FLOAT32, FLOAT64 = 1e-5, 1e-12


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "helpers.on_many_devices"]
    tests = Path(__file__).parents[3]
    run = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_a_perceptron_on_four_devices_equals_one(seen: dict[str, Any]) -> None:
    found = seen["perceptron"]
    for what in ("losses", "ends", "tensors", "evaluated"):
        assert found[what] <= FLOAT64, what


def test_snapshots_move_between_numbers_of_devices(seen: dict[str, Any]) -> None:
    """In flight, from one device, with equal stages done together, to four and back."""
    found = seen["perceptron"]
    assert found["together"] == [[1, 4]]
    assert sum(found["groups"][:2]) <= 4  # the second of them is with another device
    assert found["snapshot_moves_to_the_bit"]
    for what in ("one_to_four", "four_to_one", "tensors_of_one", "tensors_of_four"):
        assert found[what] <= FLOAT64, what


def test_one_array_goes_each_way_per_tick(seen: dict[str, Any]) -> None:
    """Of the widest cut: 16 activations of the layer before it, and 16 gradients."""
    found = seen["perceptron"]
    assert found["permuted"] == [["f64", 16], ["f64", 16]]
    assert found["on_wires"] == found["across"]


def test_reversible_stages_give_back_across_devices(seen: dict[str, Any]) -> None:
    found = seen["reversible"]
    assert found["farthest"] >= 2
    for what in ("losses", "tensors"):
        assert found[what] <= FLOAT64, what


def test_skips_norm_state_masks_and_stashed_weights_equal_the_reference(
    seen: dict[str, Any],
) -> None:
    for what in ("losses", "evaluated", "tensors"):
        assert seen["skips_and_norms"][what] <= FLOAT64, what
    assert seen["skips_and_norms"]["masked"] == 0


def test_a_tied_decoder_on_eight_devices_equals_the_reference(seen: dict[str, Any]) -> None:
    """Its table streams from the first group to the last, and the gradients all the way back."""
    found = seen["tied_decoder"]
    assert found["farthest"] == found["stages"]  # from the first stage (or the host) to the last
    for what in ("losses", "tensors"):
        assert found[what] <= FLOAT32, what


def test_a_device_holds_its_own_shard_only(seen: dict[str, Any]) -> None:
    """No more than the largest shard; early shards have the longer FIFOs.

    A value that a neighbour reads at the next tick lies in no FIFO, only in what crosses the cut.
    """
    found = seen["sizes"]
    assert min(found["devices"]) == max(found["devices"])
    assert max(found["groups"]) <= found["devices"][0] <= 1.01 * max(found["groups"])
    assert found["devices"][0] <= 1.25 * found["total"] / 4
    assert sum(found["devices"]) >= found["total"]


def test_masks_that_change_and_checkpoints_through_the_api(seen: dict[str, Any]) -> None:
    """Trained on three devices, and from its checkpoint on one, against the reference."""
    found = seen["rigl_through_the_api"]
    assert found["changed"] > 0
    assert found["masks"]
    assert found["resumed_masks"]
    for what in ("tensors", "losses", "resumed_tensors"):
        assert found[what] <= FLOAT32, what
