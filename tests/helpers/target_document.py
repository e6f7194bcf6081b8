"""A shipped target as a document."""

from __future__ import annotations

import yaml


def target_document() -> dict:
    from importlib import resources

    text = (resources.files("weft.compiler.targets") / "tiny_mesh.yaml").read_text()
    return yaml.safe_load(text)
