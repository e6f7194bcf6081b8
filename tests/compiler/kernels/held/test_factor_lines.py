"""Low-rank factors on lines of PEs, against rows laid out one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from weft.backend.nn.lora import LoRA, adapt
from weft.compiler.capture.capture import capture
from weft.compiler.kernels.held.factor_lines import on_fullest
from weft.compiler.kernels.held.memory import stored_parameters
from weft.compiler.kernels.layout import StageLayout, find_layout
from weft.compiler.kernels.site import Site
from weft.compiler.machine.tilings import SUMMA, Tilings
from weft.compiler.plan.program import StageProgram
from weft.compiler.recipes.network import class_loss
from weft.compiler.stages.coarsen import Coarsen
from weft.compiler.stages.cut import Cut
from weft.compiler.stages.group import Group
from weft.compiler.targets.load import load_target

WIDTHS, TOKENS, RANK = (24, 40, 12, 12, 20), 8, 3


@pytest.fixture(scope="module")
def stage() -> tuple[StageProgram, StageLayout]:
    """Four adapted layers behind another, as one stage."""
    torch.manual_seed(0)
    layers = [nn.Linear(*ends, bias=False) for ends in pairwise(WIDTHS)]
    model = adapt(nn.Sequential(nn.Sequential(*layers)), LoRA(("*",), rank=RANK))
    sample = torch.zeros(1, TOKENS, WIDTHS[0]), torch.zeros(1, TOKENS, dtype=torch.long)
    graph = capture(model, sample, class_loss)
    (stage, *_) = Cut()(graph, Coarsen(globs=("0",))(Group()(graph))).stages
    return stage.program, find_layout(stage.program)


def splits(into: int, out: int, algorithm: int = 0) -> Tilings:
    one = Tilings.in_blocks(np.array([into]), np.array([1]), np.array([out]))
    return replace(one, algorithm=np.array([algorithm]))


def laid_out(layout: StageLayout, into: int, out: int) -> int:
    """Elements of factors on the fullest PE: from row to row of a factor there are lines // rank
    lines, and the longest factors come first on them."""
    held: Counter[tuple[int, int]] = Counter()
    downs = [layout.matrices[one.down] for one in layout.factors.values()]
    ups = [layout.matrices[one.up] for one in layout.factors.values()]
    for place, m in enumerate(sorted(downs, key=lambda m: -m.in_features)):
        apart = max(out // RANK, 1)
        for row in range(RANK):
            column = (row * apart + place % apart) % out
            held.update({(line, column): -(-m.in_features // into) for line in range(into)})
    for place, m in enumerate(sorted(ups, key=lambda m: -m.out_features)):
        apart = max(into // RANK, 1)
        for row in range(RANK):
            line = (row * apart + place % apart) % into
            held.update({(line, column): -(-m.out_features // out) for column in range(out)})
    return max(held.values())


@pytest.mark.parametrize(("into", "out"), [(12, 12), (6, 20), (9, 8), (15, 4), (3, 3)])
def test_the_fullest_pe_is_that_of_rows_laid_out(
    stage: tuple[StageProgram, StageLayout], into: int, out: int
) -> None:
    program, layout = stage
    assert len(layout.factors) == 4
    tilings = splits(into, out)
    weights = {index: matrix.tiles for index, matrix in layout.matrices.items()}
    site = Site(load_target("wse3"), tilings, layout.forward, weights, {})
    stored = stored_parameters(site, layout, program)
    trained = [s for s, trains in zip(stored, program.trainable, strict=True) if trains]
    assert sum(int(s.elements[0]) for s in trained) == laid_out(layout, into, out)
    assert all((s.value_bytes == s.elements * 4).all() for s in trained)


def test_where_lines_are_few_or_products_go_otherwise_one_pe_has_all(
    stage: tuple[StageProgram, StageLayout],
) -> None:
    _, layout = stage
    for tilings in (splits(RANK, RANK), splits(40, 40, SUMMA)):
        assert all(there.all() for there in on_fullest(layout, tilings).values())
    apart = on_fullest(layout, splits(12, 12))
    assert sum(int(there[0]) for there in apart.values()) == 2
