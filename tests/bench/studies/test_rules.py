"""The experiment on update rules: the text's network, a search of equal size for each rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.searched_experiment import experiment
from weft.bench.studies.rules import GPT, METHODS, rules_search
from weft.bench.studies.searched import Search
from weft.bench.studies.training import RunSetting

pytest.importorskip("jax")


@pytest.fixture
def search() -> Search:
    return Search(experiment(), (0.5, 1.0, 2.0), (7,), (0, 1))


def test_the_rules_are_searched_alike_on_windows_that_none_trains_on(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_bytes(bytes(range(97, 123)) * 80)
    search = rules_search(text)
    validation = search.experiment.validation
    assert validation is not None
    train = search.experiment.data.x_train
    whole = np.concatenate([train, validation[0], search.experiment.data.x_test])
    np.testing.assert_array_equal(whole.reshape(-1)[:26], np.arange(97, 123))
    assert len(validation[0]) == round(0.1 * (len(train) + len(validation[0])))
    for method in METHODS:
        job = search.experiment.job(RunSetting(method, 1.0, 0))
        name = method.split(",")[0].split(" ")[0]
        assert job.rule.settings["optimizer"] == name
        assert job.rule.stash is ("stash" in method)
        assert ("stage_rate_delay" in job.rule.settings) is ("stage rates" in method)
        assert ("stage_rate_anneal" in job.rule.settings) is ("annealed" in method)
        assert job.by_element


def test_a_larger_network_is_trained_on_windows_drawn_from_those_for_training(
    tmp_path: Path,
) -> None:
    text = tmp_path / "text"
    text.write_bytes(np.random.default_rng(0).integers(0, 256, 6400, dtype=np.uint8).tobytes())
    search = rules_search(text, replace(GPT, windows=50))
    experiment = search.experiment
    assert experiment.validation is not None
    train, held = (
        {row.tobytes() for row in x} for x in (experiment.data.x_train, experiment.validation[0])
    )
    assert len(train) == 50
    assert not train & held
    assert set(experiment.methods) <= set(METHODS)
    parameters = GPT.network.model(0).parameters()
    assert sum(parameter.numel() for parameter in parameters) == 1_065_600
