"""A row of evidence that missed by so much."""

import math

from weft.compiler.plan.evidence import EvidenceRow


def row(set_name, miss, terms, target="wse3", unit="cycles"):
    held_out = 1000.0
    measured = held_out * math.exp(miss if unit == "cycles" else -miss)
    return EvidenceRow(
        set_name, "k", "cycles", "", target, "silicon", unit, measured, held_out, held_out, terms
    )
