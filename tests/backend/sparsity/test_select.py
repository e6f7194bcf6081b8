"""Mask updates as pure functions: counts, choices, schedules, distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from weft.backend.errors import UserError
from weft.backend.sparsity.select import grow_highest, highest, magnitude
from weft.sparsity import MaskRule, configure, kept_count, kept_counts

SHAPE = (20, 30)


def rule_of(config: dict[str, Any], shape: tuple[int, ...] = SHAPE) -> MaskRule:
    return configure(config).rules({"w": torch.empty(shape, device="meta")})["w"]


def random_array(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


ALGORITHMS: dict[str, dict[str, Any]] = {
    "set": {"algorithm": "set", "sparsity": 0.83},
    "rigl": {"algorithm": "rigl", "sparsity": 0.83},
    "set-schedule": {
        "algorithm": "set",
        "sparsity": {"type": "cosine", "init": 0.9, "half_period": 400, "minimum": 0.3},
        "drop_fraction": {"type": "cosine", "init": 0.3, "half_period": 1000},
    },
    "gmp": {"algorithm": "gmp", "sparsity": {"type": "linear", "init": 0.0, "slope": 0.0009}},
    "gmp-exp": {"algorithm": "gmp", "sparsity": {"type": "exp", "init": 0.1, "gamma": -0.004}},
    "gmp-cycling": {"algorithm": "gmp", "sparsity": [0.5, 0.7, 0.6]},
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_counts_are_exact_over_a_thousand_updates(name: str) -> None:
    rule = rule_of(ALGORITHMS[name])
    weight, elements = random_array(0), math.prod(SHAPE)
    mask = rule.first_mask(torch.from_numpy(weight)).numpy()
    noise = np.random.default_rng(1)
    for step in range(1, 1001):
        gradient = noise.standard_normal(SHAPE)
        weight = np.where(mask, weight + 0.1 * noise.standard_normal(SHAPE), 0)
        mask = rule.update(mask, weight, gradient, step)
        assert mask.sum() == kept_count(elements, rule.group.sparsity_at(step))


@pytest.mark.parametrize("algorithm", ["set", "rigl"])
def test_as_many_grow_as_were_dropped(algorithm: str) -> None:
    rule = rule_of({"algorithm": algorithm, "sparsity": 0.6, "drop_fraction": 0.3})
    weight = random_array(0)
    mask = rule.first_mask(torch.from_numpy(weight)).numpy()
    kept, stay = mask.sum(), kept_count(int(mask.sum()), 0.3)
    floor = np.sort(np.abs(weight[mask]))[-stay]
    survivors = mask & (np.abs(weight) >= floor)
    new = rule.update(mask, np.where(mask, weight, 0), random_array(1), 1)
    assert survivors.sum() == stay
    assert (new & survivors).sum() == stay
    assert (new & ~survivors).sum() == kept - stay


def test_rigl_grows_where_the_dense_gradient_is_largest() -> None:
    rule = rule_of({"algorithm": "rigl", "sparsity": 0.5, "drop_fraction": 0.5}, (1, 8))
    mask = np.array([[1, 1, 1, 1, 0, 0, 0, 0]], bool)
    weight = np.array([[4.0, 3.0, 0.2, 0.1, 0, 0, 0, 0]])
    gradient = np.array([[9.0, 9.0, 5.0, 0.0, 1.0, -7.0, 2.0, 3.0]])
    new = rule.update(mask, weight, gradient, 1)
    assert new.tolist() == [[True, True, True, False, False, True, False, False]]


def test_set_grows_at_random_and_may_return_what_it_dropped() -> None:
    rule = rule_of({"algorithm": "set", "sparsity": 0.5, "drop_fraction": 1.0}, (1, 1000))
    mask = np.arange(1000).reshape(1, -1) < 500
    new = rule.update(mask, np.ones((1, 1000)), None, 1)
    assert 200 < (new & mask).sum() < 300


def test_gmp_keeps_the_largest_and_revives_at_random() -> None:
    config = {"algorithm": "gmp", "sparsity": [0.0, 0.75, 0.25]}
    rule, weight = rule_of(config, (40, 50)), random_array(0, (40, 50))
    full = np.ones((40, 50), bool)
    pruned = rule.update(full, weight, None, 1)
    assert np.abs(weight[pruned]).min() > np.abs(weight[~pruned]).max()
    revived = rule.update(pruned, np.where(pruned, weight, 0), None, 2)
    assert (revived & pruned).sum() == pruned.sum()
    upper, lower = revived[:20].mean(), revived[20:].mean()
    assert abs(upper - lower) < 0.1


def test_zero_weights_that_are_kept_come_before_pruned_ones() -> None:
    """A revived weight is 0; dropping must not confuse it with pruned ones."""
    rule = rule_of({"algorithm": "rigl", "sparsity": 0.5, "drop_fraction": 0.25}, (1, 8))
    mask = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], bool)
    new = rule.update(mask, np.zeros((1, 8)), np.arange(8.0).reshape(1, 8), 1)
    assert new.sum() == 4
    assert new[0, 4:].sum() >= 3


def test_what_is_not_finite_is_never_preferred() -> None:
    values = np.array([[np.nan, np.inf, -3.0, 0.0, 1.0]])
    assert highest(magnitude(values), np.array([3])).tolist() == [[False, False, True, True, True]]
    mask = np.array([[True, False, False, False, False]])
    grown = grow_highest(mask, magnitude(values), np.array([2]))
    assert grown.tolist() == [[True, False, True, False, False]]


@given(st.integers(0, 50), st.integers(1, 6), st.integers(0, 12))
def test_equal_scores_are_taken_in_order(seed: int, levels: int, count: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (1, 12)).astype(float)
    order = sorted(range(12), key=lambda i: (-scores[0, i], i))
    assert set(np.flatnonzero(highest(scores, np.array([count]))[0])) == set(order[:count])


def test_updates_depend_on_seed_name_and_step_only() -> None:
    config = {"algorithm": "set", "sparsity": 0.7}
    weights = {"a": torch.zeros(SHAPE), "b": torch.zeros(SHAPE)}
    rules, again = configure(config).rules(weights), configure(config).rules(weights)
    other = configure(config | {"seed": 1}).rules(weights)
    mask, weight = random_array(5) > 0.5, random_array(6)

    def at(rule: MaskRule, step: int) -> list[Any]:
        return rule.update(mask, weight, None, step).tolist()

    assert at(rules["a"], 3) == at(again["a"], 3)
    assert at(rules["a"], 3) != at(rules["b"], 3)
    assert at(rules["a"], 3) != at(rules["a"], 4)
    assert at(rules["a"], 3) != at(other["a"], 3)


def test_update_schedule_is_strictly_before_stop() -> None:
    rule = rule_of(
        {"algorithm": "set", "sparsity": 0.5, "update": {"freq": 10, "start": 5, "stop": 35}}
    )
    assert [step for step in range(100) if rule.due(step)] == [5, 15, 25]
    listed = rule_of({"algorithm": "set", "sparsity": 0.5, "update": {"steps": [7, 3]}})
    assert [step for step in range(100) if listed.due(step)] == [3, 7]
    every = rule_of({"algorithm": "set", "sparsity": 0.5})
    assert [step for step in range(4) if every.due(step)] == [1, 2, 3]


@given(st.integers(1, 9), st.integers(0, 20), st.integers(0, 40), st.integers(0, 60))
def test_updates_before_a_step_are_counted(freq: int, start: int, more: int, step: int) -> None:
    update = {"freq": freq, "start": start, "stop": start + more + 1}
    group = configure({"algorithm": "set", "sparsity": 0.5, "update": update}).groups[0]
    assert group.update.before(step) == sum(group.due(s) for s in range(step))


def test_training_starts_dense_until_the_first_update_and_is_exact_from_there() -> None:
    config = {"algorithm": "rigl", "sparsity": 0.9, "update": {"freq": 10, "start": 10}}
    rule = rule_of(config)
    mask = rule.first_mask(torch.zeros(SHAPE)).numpy()
    assert mask.all()
    assert rule.update(mask, random_array(0), random_array(1), 10).sum() == 60


SCHEDULES = [
    (0.4, [0.4, 0.4, 0.4]),
    ({"type": "constant", "value": 0.4}, [0.4, 0.4, 0.4]),
    ({"type": "linear", "init": 0.1, "slope": 0.01}, [0.1, 0.2, 0.3]),
    ({"type": "cosine", "init": 0.8, "half_period": 20, "minimum": 0.2}, [0.8, 0.5, 0.2]),
    (
        {"type": "exp", "init": 0.2, "gamma": -0.1, "final": 0.9},
        [0.2, 0.9 - 0.7 * math.exp(-1), 0.9 - 0.7 * math.exp(-2)],
    ),
    ({"type": "power", "init": 0.5, "beta": 0.9}, [0.5, 0.5 * 0.9**10, 0.5 * 0.9**20]),
    ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
    ({"type": "cycling", "values": [0.1, 0.5]}, [0.1, 0.5, 0.1]),
]


@pytest.mark.parametrize(("schedule", "values"), SCHEDULES, ids=str)
def test_schedules(schedule: Any, values: list[float]) -> None:
    config = {"algorithm": "set", "sparsity": schedule, "update": {"freq": 10}}
    group = configure(config).groups[0]
    assert [group.sparsity_at(step) for step in (0, 10, 20)] == pytest.approx(values)


def test_the_drop_fraction_cycles_from_its_first_value() -> None:
    config = {"algorithm": "set", "sparsity": 0.5, "drop_fraction": [0.1, 0.2, 0.3]}
    starts_sparse = configure(config | {"update": {"freq": 10}}).groups[0]
    assert [starts_sparse.drop_at(step) for step in (10, 20, 30, 40)] == [0.1, 0.2, 0.3, 0.1]
    starts_dense = configure(config | {"update": {"freq": 10, "start": 10}}).groups[0]
    assert [starts_dense.drop_at(step) for step in (10, 20)] == [0.1, 0.2]


def test_a_schedule_stays_between_0_and_1() -> None:
    config = {"algorithm": "gmp", "sparsity": {"type": "linear", "init": -0.5, "slope": 0.01}}
    group = configure(config).groups[0]
    assert [group.sparsity_at(step) for step in (1, 100, 1000)] == [0.0, 0.5, 1.0]


SHAPES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3), st.just(3)),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(SHAPES, st.integers(0, 99), st.sampled_from(["er", "erk"]), st.sampled_from([0.5, 1.0, 2.0]))
def test_er_and_erk_spend_the_budget_exactly(
    shapes: list[tuple[int, ...]], percent: int, distribution: Any, power: float
) -> None:
    named = {f"w{i}": shape for i, shape in enumerate(shapes)}
    kept = kept_counts(named, percent / 100, distribution, power)
    sizes = {name: math.prod(shape) for name, shape in named.items()}
    assert sum(kept.values()) == (100 - percent) * sum(sizes.values()) // 100
    assert all(0 <= kept[name] <= sizes[name] for name in named)


def test_erk_densities_follow_the_formula_and_are_capped() -> None:
    shapes = {"wide": (200, 400), "square": (100, 100), "tiny": (4, 4)}
    kept = kept_counts(shapes, 0.9, "erk")
    density = {name: kept[name] / math.prod(shape) for name, shape in shapes.items()}
    assert density["tiny"] == 1.0
    ratio = (200 + 400) / (200 * 400) / ((100 + 100) / (100 * 100))
    assert density["wide"] / density["square"] == pytest.approx(ratio, rel=2e-3)
    convolution = {"a": (16, 16, 3, 3), "b": (64, 64, 3, 3)}
    er = kept_counts(convolution, 0.95, "er")
    erk = kept_counts(convolution, 0.95, "erk")
    assert er["a"] / 2304 / (er["b"] / 36864) == pytest.approx(4.0, rel=1e-2)
    assert erk["a"] / 2304 / (erk["b"] / 36864) == pytest.approx(38 / 134 * 16, rel=1e-2)


def test_masks_of_a_model_meet_the_erk_budget() -> None:
    model = nn.Sequential(nn.Linear(37, 61), nn.Linear(61, 61), nn.Linear(61, 3))
    masks = configure({"sparsity": 0.9, "distribution": "erk"}).masks(model)
    elements = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == kept_count(elements, 0.9)


@pytest.mark.parametrize(("key", "axis"), [("balance_out_groups", 0), ("balance_in_groups", 1)])
@pytest.mark.parametrize("method", ["random", "topk", "checkerboard"])
@pytest.mark.parametrize("shape", [(12, 16), (12, 8, 3, 3)], ids=str)
def test_balanced_groups_hold_equal_counts(
    key: str, axis: int, method: str, shape: tuple[int, ...]
) -> None:
    config = {"algorithm": "rigl", "sparsity": 0.7, "init_method": method, key: 4}
    rule, each = rule_of(config, shape), kept_count(math.prod(shape) // 4, 0.7)
    mask = rule.first_mask(torch.from_numpy(random_array(0, shape))).numpy()
    for step in range(1, 20):
        assert [part.sum() for part in np.split(mask, 4, axis)] == [each] * 4
        weight = np.where(mask, random_array(step, shape), 0)
        mask = rule.update(mask, weight, random_array(-step % 1000, shape), step)


def test_recipes_of_the_vendor_read_as_they_are() -> None:
    group = configure(
        {
            "sparsity": 0.75,
            "init_method": "random",
            "algorithm": "rigl",
            "drop_fraction": {"type": "cosine", "init": 0.3, "half_period": 17209},
            "update": {"freq": 500, "stop": 17209},
            "param_filter": ["*proj_[qkv]_dense_layer.weight", "*linear_layer.weight"],
        }
    ).groups[0]
    assert group.due(17000)
    assert not group.due(17500)
    assert group.drop_at(0) == 0.3
    alias = {"groups": [{"type": "set", "schedule": 0.5, "params": {"drop_fraction": 0.1}}]}
    assert configure(alias).groups[0].drop_at(1) == 0.1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"algorithm": "gmp", "sparsity": 0.5}, "algorithm: static"),
        ({"algorithm": "set", "sparsity": 1.0}, "less than 1"),
        ({"algorithm": "set", "sparsity": {"type": "sine"}}, "type"),
        ({"algorithm": "set", "sparsity": 0.5, "update": {"freq": 0}}, "freq"),
        ({"algorithm": "set", "sparsity": 0.5, "update": {"start": 9, "stop": 9}}, "stop"),
        ({"algorithm": "set", "sparsity": 0.5, "drop_fraction": 1.5}, "drop_fraction"),
        ({"algorithm": "static", "sparsity": 0.5, "schedule": 0.5}, "alias"),
        ({"algorithm": "static", "sparsity": 0.5, "update": {"freq": 5}}, "update"),
        ({"sparsity": 0.5, "param_filter": "re:("}, "regular expression"),
        (
            {
                "algorithm": "set",
                "sparsity": 0.5,
                "balance_in_groups": 2,
                "balance_out_groups": 2,
            },
            "only one",
        ),
    ],
    ids=str,
)
def test_bad_groups_are_user_errors(config: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        configure(config)


def test_groups_that_do_not_divide_and_rigl_without_gradient_are_user_errors() -> None:
    with pytest.raises(UserError, match="divisor of 20"):
        rule_of({"algorithm": "set", "sparsity": 0.5, "balance_out_groups": 3})
    with pytest.raises(UserError, match="dense gradient"):
        rule_of(ALGORITHMS["rigl"]).update(np.ones(SHAPE, bool), random_array(0), None, 1)


def test_filters_by_glob_regular_expression_and_function() -> None:
    model = nn.ModuleDict(
        {"q": nn.Linear(4, 4), "k": nn.Linear(4, 4), "LayerNorm": nn.Linear(4, 4)}
    )

    def chosen(param_filter: Any) -> set[str]:
        return set(configure({"sparsity": 0.5, "param_filter": param_filter}).rules(model))

    assert chosen("q.*ght") == {"q.weight"}
    assert chosen(["re:[qk]\\.weight"]) == {"q.weight", "k.weight"}
    assert chosen(lambda name, weight: weight.dim() == 1) == {"q.bias", "k.bias", "LayerNorm.bias"}
    assert chosen(None) == {"q.weight", "k.weight"}


@pytest.mark.parametrize(
    "update", [{"freq": 7, "start": 3, "stop": 40}, {"freq": 1}, {"steps": [2, 9, 30]}]
)
@pytest.mark.parametrize("window", [1, 4, 50])
def test_dense_gradients_are_collected_in_the_steps_before_each_update(
    update: dict[str, Any], window: int
) -> None:
    rule = rule_of(
        {"algorithm": "rigl", "sparsity": 0.5, "update": update, "gradient_steps": window}
    )
    steps = np.arange(1, 60)
    expected = [any(rule.due(int(step) + k) for k in range(window)) for step in steps]
    assert rule.collects(steps).tolist() == expected
    assert [bool(rule.collects(int(step))) for step in steps] == expected
