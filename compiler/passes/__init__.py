"""The passes of the compiler, one per file; a pass's name is its file's name.

To add one: a file here with a frozen dataclass (see base.py), a line in PASSES, a line in
compiler/pipeline.py. If it makes a new kind of artefact, register that in artefacts.py.
"""

from __future__ import annotations

from .base import pass_name
from .capture import Capture
from .cut import Cut
from .emit import Emit
from .map import Map
from .place import Place

PASSES = {pass_name(kind): kind for kind in (Capture, Cut, Map, Place, Emit)}
"""Every pass by its name, in the order of the pipeline."""

__all__ = ["PASSES", "Capture", "Cut", "Emit", "Map", "Place"]
