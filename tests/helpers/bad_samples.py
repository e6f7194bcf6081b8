"""Samples that are no numbers."""

from __future__ import annotations

import numpy as np
from helpers.jobs import samples
from weft.runtime.tick.job import Job

BAD = (5, 6, 7, 20)


def poisoned(job: Job, count: int) -> list[np.ndarray]:
    x, y = samples(job, count)
    x[list(BAD)] = np.nan
    return [x, y]
