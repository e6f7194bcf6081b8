"""`weft explain`: what holds a plan back, and what would change it.

Reading order: fall (more PEs for a stage, and the term that stops its fall), sensitivity (other
constants of the machine), front (interval against area), text, explanation, page.
"""

from __future__ import annotations

from .explanation import Explanation, explain
from .front import Front, front_of

__all__ = ["Explanation", "Front", "explain", "front_of"]
