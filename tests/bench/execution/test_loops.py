"""The loops that `weft bench run` compares do the same work: their losses are the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip("jax")

from weft.backend.errors import UnknownNameError
from weft.backend.nn import resnet
from weft.bench.execution import loops
from weft.bench.execution.cases import TimedCase, Update, make_case
from weft.bench.execution.loops import (
    batch_loop,
    eager_loop,
    jax_loop,
    loops_of,
    make_job,
    torch_xla_loop,
    weft_loop,
)
from weft.bench.models.bytes_model import ByteModel, byte_loss

COUNT = 6


def small_case(name: str) -> TimedCase:
    """The network's own kind, small."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    if name == "mlp":
        model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
        x = generator.standard_normal((COUNT, 1, 6)).astype(np.float32)
        return TimedCase(name, model, F.cross_entropy, x, generator.integers(0, 4, (COUNT, 1)))
    if name == "gpt":
        text = generator.integers(0, 256, (COUNT, 1, 9))
        model = ByteModel(blocks=1, width=16, heads=8, window=8)
        return TimedCase(name, model, byte_loss, text[..., :-1], text[..., 1:])
    x = generator.standard_normal((COUNT, 1, 3, 8, 8)).astype(np.float32)
    return TimedCase(
        name, resnet(8, width=4), F.cross_entropy, x, generator.integers(0, 10, (COUNT, 1))
    )


CLIPPED = Update(weight_decay=0.1, clip_norm=0.05, compensations=("sc+lwp",))


@pytest.mark.parametrize("name", ["mlp", "gpt", "resnet20"])
@pytest.mark.parametrize("update", [Update(), CLIPPED])
def test_jax_by_hand_computes_what_eager_torch_does(name: str, update: Update) -> None:
    """Losses of three passes: the later ones depend on every update and all state before."""
    case = replace(small_case(name), update=update)
    eager, by_hand = eager_loop(case), jax_loop(case)
    for _ in range(3):
        np.testing.assert_allclose(by_hand.train(), eager.train(), rtol=1e-4)


def test_batches_repeat_the_samples_of_a_round() -> None:
    """The mean loss over 128 rows, of a model that weighs each row alike."""
    case = small_case("mlp")
    loop = batch_loop(case, case.model)
    (first,) = loop.train()
    rows = np.arange(128) % COUNT
    x, y = torch.tensor(case.x[rows, 0]), torch.tensor(case.y[rows, 0])
    assert loop.samples == 128
    assert first == pytest.approx(F.cross_entropy(case.model(x), y).item(), rel=1e-6)
    assert loop.train()[0] < first


def test_torch_xla_trains_as_jax_does() -> None:
    pytest.importorskip("torch_xla")
    case = small_case("mlp")
    loop = torch_xla_loop(case, "lwp", "cpu")
    expected = weft_loop(case, "pipelined", "lwp", "cpu").train()
    np.testing.assert_allclose(loop.train(), expected, rtol=1e-5)
    names = list(loops_of(case, with_torch_xla=True))
    assert names == ["eager", "jax", "sequential", "pipelined", "torch-xla"]


def test_decay_and_clipping_change_what_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "RATE", 0.1)
    for change in (Update(weight_decay=0.1), Update(clip_norm=0.05)):
        losses = []
        for update in (Update(), change):
            loop = jax_loop(replace(small_case("mlp"), update=update))
            losses.append([*loop.train(), *loop.train()])
        assert np.abs(np.subtract(*losses)).max() > 1e-3


def test_weft_does_the_update_of_the_case() -> None:
    case = replace(small_case("mlp"), update=CLIPPED)
    job = make_job(case, "pipelined", "sc+lwp")
    assert job.guard.clip_norm == 0.05
    assert job.rule.settings["weight_decay"] == 0.1
    assert job.rule.settings["compensation"] == "sc+lwp"
    assert make_job(case, "sequential", "sc+lwp").rule.settings["compensation"] == "none"


def test_the_networks_are_those_of_the_bench() -> None:
    case = make_case("gpt", 2)
    assert case.x.shape == (2, 1, 64)
    assert replace(case, x=case.x[:1]).samples == 1
    names = dict(make_case("mlp", 1).model.named_parameters())
    assert len(names) == 20
    assert names["0.weight"].shape == (256, 256)


def test_the_pipeline_is_timed_with_each_compensation() -> None:
    case = make_case("mlp", 1, "compensated", ("none", "stash"))
    assert case.update.clip_norm == 1.0
    names = ["eager", "jax", "sequential", "pipelined", "pipelined stash"]
    assert list(loops_of(case)) == names
    with pytest.raises(UnknownNameError, match="delay compensation"):
        make_case("mlp", 1, "plain", ("stach",))


def test_a_network_that_nobody_wrote_by_hand_has_no_loop_by_hand() -> None:
    case = replace(small_case("resnet20"), name="resnet18")
    assert "jax" not in loops_of(case)
    pytest.importorskip("torchvision")
    assert make_case("resnet18", 1).x.shape == (1, 1, 3, 32, 32)
