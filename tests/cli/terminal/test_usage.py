"""Wrong usage speaks as every other mistake does."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("compile",), ("weft compile", "MODEL: recipe.yaml", "nothing", "[OPTIONS] MODEL")),
        (("report", "a"), ("weft report", "--output: The page to write", "got:      nothing")),
        (("simulate", "p", "--sampels", "3"), ("option of weft simulate", "'--samples'?")),
        (("simulate", "p", "--samples", "x"), ("weft simulate", "--samples: Training", "integer")),
        (("simulate", "p", "--samples"), ("weft", "'--samples' requires an argument")),
        (("simulate", "a", "b"), ("weft simulate", "(b)", "[OPTIONS] PLAN")),
        (("compil",), ("unknown verb of weft 'compil'\n", "'compile'?", "weft --help")),
        (("recipe", "chek"), ("verb of weft recipe 'chek'\n", "'check'?", "weft recipe --help")),
    ],
)  # fmt: skip
def test_wrong_usage_says_where_and_what(weft, given, said):
    outcome = weft(*given)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert [line.split(":")[0] for line in outcome.err.splitlines()[1:]] == [
        "  expected",
        "  got",
        "  change",
    ]
    for words in said:
        assert words in outcome.err


@pytest.mark.parametrize("given", [(), ("recipe",)])
def test_nothing_at_all_gets_the_help(weft, given):
    outcome = weft(*given)
    assert outcome.code == 2
    assert "Usage: weft" in outcome.out
    assert outcome.err == ""
