"""What more PEs and other machines would do: against brute force, and compiles for them."""

import pytest
from helpers.explained_plan import PLAN, TARGET, compiled
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.plan.constants import target_of
from weft.study.explain import front_of


def test_objectives_are_refused_with_numbers():
    tiny = compiled("tiny_mesh")
    with pytest.raises(UserError, match=r"(\d+) of \1 constants assumed"):
        front_of(tiny, target_of(tiny.document), "speed")
    with pytest.raises(UnknownNameError, match="energy"):
        front_of(PLAN, TARGET, "energy")
