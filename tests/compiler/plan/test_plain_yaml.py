"""Plain YAML: the same text and the same data as PyYAML's, whatever is written or read."""

from __future__ import annotations

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.plan.plain_yaml import read_yaml, write_yaml

_WORDS = st.sampled_from(
    ["", "yes", "null", "~", "1e3", "0x1f", "1_000", "=", "<<", "2020-01-01", "a: b", "- x", "#"]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    _WORDS,
)
_DATA = st.recursive(
    _SCALARS,
    lambda items: st.lists(items, max_size=4) | st.dictionaries(st.text(max_size=6), items),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(_DATA)
def test_the_text_is_that_of_pyyaml(data):
    text = write_yaml(data)
    assert text == yaml.dump(
        data, Dumper=yaml.CSafeDumper, sort_keys=False, width=100, default_flow_style=False
    )
    assert read_yaml(text) == data


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_zeros_keep_their_sign_and_type(zero):
    back = read_yaml(write_yaml({"int": 0, "false": False, "other": -zero, "zero": zero}))
    assert math.copysign(1, back["zero"]) == math.copysign(1, zero)
    assert (type(back["int"]), type(back["false"])) == (int, bool)


_ODD = (
    *("", "a", "a: 1\na: 2", "{[1]: 2}", "{{a: 1}: 2}", "- &x [1]\n- *x", "a: !!str 1", "!foo 1"),
    *("base: &b {x: 1}\nmore:\n  <<: *b", "{<<: {a: 1}}", "=: 1", "--- 1\n--- 2", "---\n...\n"),
    *("'1'", '"\\u263a"', "| \n  text\n", "1: one", "~: none", "2020-01-01", "0b", "1:30", ".nan"),
    *("[1, 2", "a: b: c", "\t- x", "- *missing", "? [a]\n: b", "0x", "2020-99-99", "%YAML 1.2"),
)


@pytest.mark.parametrize("text", _ODD)
def test_unusual_text_reads_as_pyyaml_reads_it(text):
    assert _outcome(read_yaml, text) == _outcome(yaml.safe_load, text)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*"abc:-[]{}&*!#|>'\"?%@ \n0.e~", "<<", ": ", "\n  "]), max_size=16)
)
def test_any_text_reads_as_pyyaml_reads_it(pieces):
    text = "".join(pieces)
    assert _outcome(read_yaml, text) == _outcome(
        lambda text: yaml.load(text, Loader=yaml.CSafeLoader), text
    )


def _outcome(read, text):
    """What was read, with its types; of a failure its kind."""
    try:
        return repr(read(text))
    except (yaml.YAMLError, ValueError) as error:
        return type(error).__name__
