"""What all sparsity algorithms have in common: the keys of a group, and what it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from weft.backend.errors import UserError
from weft.sparsity import configure


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
