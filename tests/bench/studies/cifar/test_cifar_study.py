"""The study of CIFAR-10 on a few made images: one search for all, runs go on where they stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from weft.backend.errors import UserError
from weft.backend.nn import resnet
from weft.bench.studies.cifar import by_torch, by_weft, recipe
from weft.bench.studies.cifar.by_torch import run_by_torch
from weft.bench.studies.cifar.by_weft import run_by_weft
from weft.bench.studies.cifar.kept import Clock, Outcome
from weft.bench.studies.cifar.page import cifar_page, usual_table
from weft.bench.studies.cifar.recipe import BY_TORCH, METHODS, cifar_recipe
from weft.bench.studies.cifar.study import CifarStudy
from weft.bench.studies.suite import Suite
from weft.bench.studies.training import SEQUENTIAL, Record, Setting
from weft.compiler.recipes.build import build_model
from weft.runtime.data import Augmented, Dataset, Splits, rows_of
from weft.runtime.data.dataset import epoch_order

TORCH, WEFT = Setting(BY_TORCH, 1.0, 3, "validation"), Setting("sc+lwp", 100.0, 3)


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Splits:
    """Classes that differ in their mean, and networks small enough for a test."""
    generator, labels = np.random.default_rng(0), np.arange(330) % 10
    x = generator.standard_normal((330, 3, 8, 8)).astype(np.float32)
    x[:, :2] += (labels[:, None, None, None] - 4.5) / [[[[1]], [[-2]]]]
    monkeypatch.setattr(by_torch, "DEPTH", 8)
    monkeypatch.setitem(
        recipe._COMMON, "model", {"name": "mlp", "options": {"width": 8, "hidden": 1}}
    )
    monkeypatch.setitem(recipe._COMMON, "input", {"shape": [3, 8, 8], "classes": 10})
    monkeypatch.setitem(recipe._COMMON, "target", "tiny_mesh")
    monkeypatch.setattr(by_weft, "_EVERY", 50)
    data = Dataset("made", x[:300], labels[:300], x[300:], labels[300:], "none")
    return data.splits


class StoppedError(Exception):
    """The process was killed."""


def test_rate_and_momentum_of_one_sample_are_the_published_ones() -> None:
    optimizer = cifar_recipe(Setting(SEQUENTIAL, 1.0, 0), 5).optimizer.at_batch_size_1()
    assert optimizer.momentum == pytest.approx(0.9991772, abs=1e-7)  # Kosson et al. 2021
    assert optimizer.lr == pytest.approx(6.428e-6, rel=1e-4)
    doubled = cifar_recipe(Setting("sc+lwp", 2.0, 0), 5)
    assert doubled.optimizer.at_batch_size_1().lr == pytest.approx(2 * optimizer.lr)
    assert (doubled.pipeline.mode, doubled.pipeline.compensation) == ("pipelined", "sc+lwp")
    assert cifar_recipe(Setting(SEQUENTIAL, 1.0, 0), 5).pipeline.mode == SEQUENTIAL


def test_all_methods_start_with_the_same_weights() -> None:
    torch.manual_seed(3)
    by_hand = dict(resnet(recipe.DEPTH, normalization="batch").named_parameters())
    model, _ = build_model(cifar_recipe(Setting(SEQUENTIAL, 1.0, 3), 1))
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight, by_hand[name], rtol=0, atol=0)


def test_torch_goes_on_after_an_epoch_as_if_it_had_not_stopped(
    images: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_by_torch(TORCH, 3, images, _made(tmp_path / "whole"))
    assert whole.loss == pytest.approx(_loss_by_hand(images), rel=1e-4)
    folder, step = _made(tmp_path / "stopped"), by_torch._step
    done: list[int] = []

    def stopping(*arguments: object) -> None:
        if len(done) == 4:  # within the second epoch of three steps
            raise StoppedError
        done.append(0)
        step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(by_torch, "_step", stopping)
    with pytest.raises(StoppedError):
        run_by_torch(TORCH, 3, images, folder)
    monkeypatch.setattr(by_torch, "_step", step)
    again = run_by_torch(TORCH, 3, images, folder)
    assert (again.accuracy, again.loss) == (whole.accuracy, whole.loss)
    assert again.samples == whole.samples == 3 * 270


def _loss_by_hand(images: Splits) -> float:
    """Three epochs of 128, 128 and 14 images, as torch's own parts do it."""
    held = images.with_validation(0.1)
    torch.manual_seed(TORCH.seed)
    model = resnet(8, normalization="batch")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, weight_decay=2e-4)
    steps = 3 * 3  # a warm-up of 5 % is none of them
    decayed = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    train = Augmented(held.train, TORCH.seed, 4, flip=True)
    for epoch in range(3):
        for part in np.split(epoch_order(270, epoch, TORCH.seed), (128, 256)):
            x, y = map(torch.from_numpy, train.read(part, epoch))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            decayed.step()
    assert held.validation is not None
    x, y = map(torch.from_numpy, rows_of(held.validation))
    return float(torch.nn.functional.cross_entropy(model.eval()(x), y).detach())


def test_weft_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(
    images: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    whole = run_by_weft(WEFT, 2, images, _made(tmp_path / "whole"))
    assert whole.accuracy is not None
    assert whole.accuracy > 0.2
    folder, keep = _made(tmp_path / "stopped"), Clock.keep
    kept: list[int] = []

    def stopping(clock: Clock) -> None:
        keep(clock)
        kept.append(0)
        if len(kept) == 6:
            raise StoppedError

    monkeypatch.setattr(Clock, "keep", stopping)
    with pytest.raises(StoppedError):
        run_by_weft(WEFT, 2, images, folder)
    monkeypatch.setattr(Clock, "keep", keep)
    assert (folder / "run" / "step-000000250").is_dir()
    again = run_by_weft(WEFT, 2, images, folder)
    assert (again.accuracy, again.loss) == (whole.accuracy, whole.loss)
    assert again.samples == whole.samples == 2 * 270
    assert again.first_delay == whole.first_delay > 0
    assert sorted(path.name for path in folder.iterdir()) == ["seconds", "weights.safetensors"]


def test_a_search_does_not_read_the_test_and_a_diverged_run_is_an_outcome(
    images: Splits, tmp_path: Path
) -> None:
    pytest.importorskip("jax")
    unread = replace(images, test=None)
    scored = run_by_weft(replace(WEFT, part="validation"), 1, unread, _made(tmp_path / "a"))
    assert scored.loss is not None
    lost = run_by_weft(replace(WEFT, factor=1e12), 1, images, _made(tmp_path / "b"))
    assert (lost.accuracy, lost.loss) == (None, None)
    assert lost.samples < 270


def test_the_clock_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "seconds"
    path.write_text("10.5")
    clock = Clock(path)
    assert clock.seconds == 10.5
    clock.keep()
    sum(range(200_000))
    clock.keep()
    assert 10.5 < Clock(path).seconds < 20


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


LOSSES = {BY_TORCH: {0.5: 1.2, 1.0: 1.1, 2.0: 1.3}, SEQUENTIAL: {0.5: 1.3, 1.0: 1.2, 2.0: 1.0}}


def records_of(study: CifarStudy, settings: list[Setting]) -> list[Record]:
    found = []
    for s in settings:
        loss = LOSSES.get(s.method, LOSSES[BY_TORCH])[s.factor]
        made = Outcome(10, 0.8 + s.seed / 100 - 0.1 * (s.method == SEQUENTIAL), loss, 0.05, 66)
        found.append(study._record(s, made))
    return found


def test_every_method_has_the_same_search_and_what_is_tested_is_its_best(images: Splits) -> None:
    study = CifarStudy(images, Path("nowhere"))
    search = study.search()
    wanted = search.settings({})
    assert wanted[:3] == [Setting(m, 1.0, 0) for m in (SEQUENTIAL, "sc+lwp", BY_TORCH)]
    assert len(wanted) == 3 + 9
    by_method = [
        [(s.factor, s.seed) for s in wanted[3:] if s.method == method] for method in METHODS
    ]
    assert by_method[0] == by_method[1] == by_method[2] == [(0.5, 100), (1.0, 100), (2.0, 100)]
    records = records_of(study, wanted)
    tested = search.settings({record.key: record for record in records})[12:]
    assert [(s.method, s.factor, s.seed) for s in tested if s.seed == 0] == [(SEQUENTIAL, 2.0, 0)]
    assert [s.factor for s in tested if s.seed == 2] == [1.0, 2.0, 1.0]
    assert {s.part for s in tested} == {"test"}
    assert study.epochs_of(tested[0]) == 5
    assert study.epochs_of(wanted[3]) == 1


def test_the_page_says_what_is_missing_and_pairs_seeds(images: Splits) -> None:
    study = CifarStudy(images, Path("nowhere"))
    search = study.search()
    records = records_of(study, search.settings({}))
    page = cifar_page(search, records)
    assert "**Not finished: 7 of 18 runs are missing.**" in page  # two of them ran at first
    assert "## The usual rate" in page
    assert len(usual_table(records[:3])[1]) == 3
    records += records_of(study, search.settings({r.key: r for r in records})[len(records) :])
    page = cifar_page(search, records)
    assert "Not finished" not in page
    assert "- PB + sc+lwp less batch 1: +10.00 ± 0.00 (standard error) points" in page
    assert "- batch 1 less batch 128, BatchNorm: -10.00 ± 0.00" in page
    assert "| batch 1 | 1.300 | 1.200 | 1.000 | 0.2 | 71.00 ± 1.00 |" in page


def test_the_experiment_stands_alone_and_needs_its_images() -> None:
    with pytest.raises(UserError, match="--images"):
        Suite(parts=("cifar10",))
    with pytest.raises(UserError, match="alone"):
        Suite(parts=("cifar10", "digits"), images=Path("x"))
