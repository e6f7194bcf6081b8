"""Cost and memory of a whole stage under every tiling: its operators, phase by phase."""

from __future__ import annotations

import numpy as np
from helpers.stages_of import resnet8_stages
from weft.compiler.kernels.layout import find_layout
from weft.compiler.kernels.optimizer import UpdateStep
from weft.compiler.kernels.stage import price_stage
from weft.compiler.targets import load_target

TARGET = load_target("wse2")


def test_more_pes_mean_less_arithmetic_per_pe():
    stage = resnet8_stages().stages[1]
    layout = find_layout(stage.program)
    tiles = {index: matrix.tiles for index, matrix in layout.matrices.items()}
    table = price_stage(stage, stage.program, layout, tiles, TARGET, UpdateStep(1))
    compute = sum(operator.compute for operator in table.operators)
    area = table.tilings.height * table.tilings.width
    assert compute[np.argmax(area)] < compute[np.argmin(area)] / 50
