"""What a model asks of any machine, stage by stage: the place from which programs outside of weft
import it; `weft compare` counts with it.

>>> plan = weft.compile(model, sample, "cross_entropy")
>>> [(work.name, work.forward_macs, work.backward_macs) for work in work_of(plan.stages)]
"""

from __future__ import annotations

from .plan.work import StageWork, work_of

__all__ = ["StageWork", "work_of"]
