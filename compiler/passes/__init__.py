"""The passes of the compiler, one per file; a pass's name is its file's name.

To add one: a file here with a frozen dataclass (see base.py), a line in PASSES, a line in
compiler/pipeline.py. If it makes a new kind of artefact, register that in artefacts.py.
"""

from __future__ import annotations

from .balance import Balance
from .base import pass_name
from .capture import Capture
from .coarsen import Coarsen
from .cut import Cut
from .emit import Emit
from .group import Group
from .map import Map
from .place import Place
from .recompute import Recompute

_ORDER = (Capture, Group, Coarsen, Cut, Recompute, Map, Place, Balance, Emit)
PASSES = {pass_name(kind): kind for kind in _ORDER}
"""Every pass by its name, in the order of the pipeline."""

__all__ = [
    "PASSES",
    "Balance",
    "Capture",
    "Coarsen",
    "Cut",
    "Emit",
    "Group",
    "Map",
    "Place",
    "Recompute",
]
