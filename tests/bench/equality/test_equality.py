"""The JAX executor against the reference: losses, weights, optimizer and norm state, masks.

Differences are of whole tensors, |got - expected| / |expected| in the 2-norm. Two executors add up
in different orders, so single entries near zero share no digits, and a ReLU at zero may open in one
of them only. `weft bench equality` runs every combination.

To the bit, in float64, all of the tick but its arithmetic agrees: if jax calls the reference's own
programs for the stages, nothing differs, if XLA may not fuse multiplications into additions. That
leaves out sums within an update rule (adaptive braking) and powers (AdamW), which are XLA's own.
With XLA's arithmetic they agree where no sum has more than one term: layers of width one, under a
rule that does not predict (a row times predicted weights is two products). Else they do not, as
tried: XLA fuses in products, torch does not; from eight terms on both add in vectors of their own;
exp, log and tanh are different polynomials (tanh agrees in one value of two).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

from weft.bench.equality.cases import case, job_of
from weft.bench.equality.equality import JaxExecutor, distance

COUNT = 200

# float32 rounds to 6e-8; 200 updates feed it back. At most 1.5e-6 is seen.
FLOAT32 = 1e-5
# Momentum of a bias whose gradients nearly cancel: the reference in float32 is itself 3.1e-5 from
# the reference in float64 (u-net, stash, rigl), where jax in float64 is 2.8e-14 from it.
FLOAT32_OF_MOMENTUM = 3e-5

COVERING = [
    ("mlp", "sgdm", "sc", "static"),
    ("mlp", "sgdm", "lwp", "none"),
    ("mlp", "sgdm", "ab", "rigl"),
    ("mlp", "sgdm", "sc+lwp", "none"),
    ("mlp", "adamw", "none", "static"),
    ("mlp", "adamw", "stash", "rigl"),
    ("u-net", "sgdm", "none", "none"),
    ("u-net", "sgdm", "stash", "rigl"),
    ("u-net", "adamw", "lwp", "rigl"),
]


@pytest.mark.parametrize(("model", "rule", "compensation", "masks"), COVERING)
def test_float32(model: str, rule: str, compensation: str, masks: str) -> None:
    found = case(model, COUNT)
    job = job_of(found, rule, compensation, masks)
    far = distance(job, found.inputs, JaxExecutor(job, chunk=64))
    assert far.masks_equal
    assert max(far.losses, far.weights, far.state) <= FLOAT32, far
    assert far.optimizer <= FLOAT32_OF_MOMENTUM, far


BITWISE = [
    "narrow:sgdm:sc:none",
    "mlp:sgdm:stash:rigl",
    "gpt:sgdm:lwp_w:static",
    "u-net:sgdm:sc+lwp:rigl",
]


def test_to_the_bit() -> None:
    """In a process whose XLA may not fuse a multiplication into an addition."""
    script = Path(__file__).parents[2] / "helpers" / "equal_bits.py"
    environment = {**os.environ, "XLA_FLAGS": "--xla_cpu_max_isa=AVX"}
    command = [sys.executable, str(script), *BITWISE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {name: [] for name in BITWISE}
