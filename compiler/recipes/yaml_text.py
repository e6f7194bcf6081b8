"""YAML as recipes have it: `1e-3` is a number, as in YAML 1.2, not a word."""

from __future__ import annotations

import re
from typing import Any

import yaml

_NUMBER = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$")


class _Loader(yaml.SafeLoader):
    """Reads numbers of YAML 1.2."""


class _Dumper(yaml.SafeDumper):
    """Puts words in quotes that would be read as numbers."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))


def read_yaml(text: str) -> Any:
    """Plain data. Raises YAMLError, ValueError or RecursionError."""
    return yaml.load(text, Loader=_Loader)


def as_yaml(value: Any) -> str:
    """Plain data on one line."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=2**20, sort_keys=False)
    return text.strip().removesuffix("...").strip()
