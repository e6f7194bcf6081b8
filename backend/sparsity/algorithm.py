"""The sparsity algorithms by name: one file each."""

from __future__ import annotations

from .gmp import GMP
from .group import Group
from .rigl import RigL
from .set import SET
from .static import Static

ALGORITHMS: dict[str, type[Group]] = {"static": Static, "gmp": GMP, "set": SET, "rigl": RigL}
