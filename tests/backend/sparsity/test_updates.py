"""At which steps masks are updated, against counting them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from weft.backend.sparsity.updates import NEVER, Every, Listed, Updates

every = st.builds(
    lambda freq, start, length: Every(freq=freq, start=start, stop=length and start + length),
    st.integers(1, 7),
    st.integers(0, 9),
    st.none() | st.integers(1, 30),
)
listed = st.builds(
    lambda steps: Listed(steps=tuple(steps)), st.lists(st.integers(0, 40), min_size=1)
)


@given(every | listed, st.integers(0, 45))
def test_the_next_update_and_those_before_are_those_counted(updates: Every | Listed, step: int):
    due = [s for s in range(200) if updates.due(s)]
    assert updates.before(step) == sum(s < step for s in due)
    later = [s for s in due if s >= step]
    assert int(updates.until(step)) == (later[0] - step if later else NEVER)
    assert updates.until(np.array([step, step])).shape == (2,)


def test_what_a_recipe_may_say() -> None:
    read = TypeAdapter(Updates).validate_python
    assert read(None) == Every(freq=1, start=0, stop=None)
    assert read({"freq": 5, "start": None}) == Every(freq=5, start=0)
    assert read({"steps": [3, 1]}) == Listed(steps=(3, 1))
    with pytest.raises(ValidationError, match="stop must come after start"):
        read({"start": 4, "stop": 4})
