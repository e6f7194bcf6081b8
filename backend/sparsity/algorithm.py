"""The sparsity algorithms by name: one file each."""

from __future__ import annotations

from .gmp import GMP
from .group import SparsityGroup
from .rigl import RigL
from .set import SET
from .static import Static

ALGORITHMS: dict[str, type[SparsityGroup]] = {
    "static": Static,
    "gmp": GMP,
    "set": SET,
    "rigl": RigL,
}
