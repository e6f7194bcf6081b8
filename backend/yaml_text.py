"""YAML as recipes have it: `1e-3` is a number and `1:30` is none, as in YAML 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"^(?:[-+]?(?:0|[1-9][\d_]*)|0x[\da-fA-F_]+|0b[01_]+)$")
_NUMBER = re.compile(
    r"^(?:[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][-+]?\d+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_OTHERS = frozenset(f"{_TAG}{name}" for name in ("int", "float", "timestamp"))
"""Kinds of YAML 1.1 that take 1:30 for 90 and 2020-01-02 for a date."""


class _Loader(yaml.SafeLoader):
    """Reads numbers of YAML 1.2."""


class _Dumper(yaml.SafeDumper):
    """Puts words in quotes that would be read as numbers."""


for _kind in (_Loader, _Dumper):
    _kind.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in _OTHERS]
        for first, pairs in _kind.yaml_implicit_resolvers.items()
    }
    _kind.add_implicit_resolver(f"{_TAG}int", _WHOLE, list("-+0123456789"))
    _kind.add_implicit_resolver(f"{_TAG}float", _NUMBER, list("-+0123456789."))


def read_yaml(text: str) -> Any:
    """Plain data. Raises YAMLError, ValueError or RecursionError."""
    return yaml.load(text, Loader=_Loader)


def as_yaml(value: Any) -> str:
    """Plain data on one line."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=2**20, sort_keys=False)
    return text.strip().removesuffix("...").strip()
