"""Levers that make a model fit: what each buys is what is then seen; the report says the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from helpers.fitting import LARGE, TINY, compiled_with, fitting_of, small
from weft.backend.errors import InfeasibleError
from weft.compiler.fit.fit import fit, report
from weft.compiler.fit.levers import off_the_wafer
from weft.compiler.fit.setting import BYTES, Fitting, Setting
from weft.compiler.plan.check import check
from weft.compiler.stages.kept.keeping import ActivationKeeping


def test_what_does_not_fit_is_reported_with_every_lever_priced():
    fitting, setting = fitting_of(*LARGE), Setting(TINY)
    demand = fitting.demand(setting)
    assert not demand.fits
    document = report(fitting, setting)
    assert (document.demand, document.bound, document.unit) == (
        demand.amount,
        demand.bound,
        demand.unit,
    )
    assert document.contributors
    predicted = {lever.change: lever for lever in document.levers}
    again = fitting.demand(replace(setting, keeping=ActivationKeeping(recompute=True)))
    found = predicted["stages do their forward again in the backward"]
    assert (found.predicted, found.bound, found.unit) == (again.amount, again.bound, again.unit)
    sparse = fitting.demand(replace(setting, sparsity=0.9))
    assert predicted["weights 90% sparse"].predicted == sparse.amount
    assert "a dtype of half the width" in predicted
    assert "target wse2" in predicted
    assert predicted["target wse2"].fits
    with pytest.raises(InfeasibleError) as caught:
        compiled_with(LARGE, TINY)
    assert caught.value.report == document.text()


def test_fit_pulls_levers_until_the_plan_is_sound_and_records_them():
    plan = compiled_with(LARGE, TINY, fit="auto")
    document = plan.document
    assert document.fit
    assert not document.fit[0].before.fits
    assert document.fit[-1].after.fits
    for one, other in pairwise(document.fit):
        assert one.after == other.before
    target = TINY.with_wafers(document.wafers, "test")
    assert check(document, target, plan.programs) == ()
    assert "made to fit" in plan.summary()
    assert document.fit[0].change in plan.summary()


def test_recompute_is_tried_with_coarser_stages_where_alone_it_saves_nothing():
    fitting, setting = fitting_of(*LARGE), Setting(TINY)
    alone = fitting.demand(replace(setting, keeping=ActivationKeeping(recompute=True)))
    assert alone == fitting.demand(setting)
    blocks = replace(setting, blocks=True)
    again = replace(blocks, keeping=ActivationKeeping(recompute=True))
    assert fitting.demand(again).amount < fitting.demand(blocks).amount
    found, _ = fit(fitting, setting)
    assert found.keeping.recompute


def test_what_fits_is_left_alone():
    plan = compiled_with((1, 4, 4), TINY, fit="auto")
    assert plan.document.fit == ()
    assert plan.document.granularity == "finest"


def test_more_wafers_are_the_last_lever_and_as_many_as_needed():
    fitting, target = fitting_of(1, 4, 4), small(rows=2, columns=2)
    setting, pulled = fit(fitting, Setting(target))
    assert fitting.demand(setting).fits
    if setting.target.wafers > 1:
        assert pulled[-1].lever == "more wafers"
        fewer = setting.target.with_wafers(setting.target.wafers - 1, "test")
        assert not fitting.demand(replace(setting, target=fewer)).fits


def test_what_no_lever_makes_fit_is_a_report():
    target = replace(TINY, sram=replace(TINY.sram, bytes_per_pe=TINY.sram.reserved_bytes + 16))
    fitting = fitting_of(*LARGE)
    with pytest.raises(InfeasibleError) as caught:
        fit(fitting, Setting(target))
    assert BYTES in caught.value.report


def test_fifos_off_the_wafer_make_a_long_pipeline_fit(monkeypatch):
    """Alone of all levers, on a mesh whose PEs lack a little: the first stages' FIFOs leave."""
    monkeypatch.setattr("weft.compiler.fit.fit._LEVERS", (off_the_wafer,))
    size = (6, 16, 64)
    fitting = fitting_of(*size)
    tight = replace(ROOMY, sram=replace(ROOMY.sram, bytes_per_pe=_bytes_for(fitting)))
    setting, (pulled,) = fit(fitting, Setting(tight))
    assert (pulled.lever, setting.keeping.recompute) == ("off the wafer", False)
    assert setting.keeping.off_wafer > 4
    assert pulled.after == fitting.demand(setting)
    assert not pulled.before.fits
    plan = compiled_with(size, tight, off_wafer=setting.keeping.off_wafer)
    assert check(plan.document, tight, plan.programs) == ()
    away = [stage for stage in plan.document.stages if stage.off_wafer_bytes]
    rate = tight.host.bytes_per_s / sum(stage.off_wafer_bytes for stage in away)
    assert f"FIFOs of {len(away)} stages" in pulled.change
    assert f"lets {rate:,.0f} samples/s pass" in pulled.change
    assert plan.document.totals.throughput_samples_per_s <= rate


ROOMY = replace(small(rows=64, columns=64), sram=replace(TINY.sram, bytes_per_pe=10**6))


def _bytes_for(fitting) -> int:
    """Between what the fullest PE needs as it is and with the FIFOs of the first half elsewhere."""
    away = Setting(
        ROOMY, keeping=ActivationKeeping(off_wafer=fitting.stages(Setting(ROOMY)).delay(0) // 2)
    )
    pricing = [fitting.pricing(setting) for setting in (Setting(ROOMY), away)]
    least = [max(map(one.least_bytes, one.stages.stages)) for one in pricing]
    assert least[1] < least[0]
    return ROOMY.sram.bytes_per_pe - ROOMY.capacity_bytes + (least[0] + least[1]) // 2


def test_all_of_a_pes_memory_is_a_lever_where_stages_may_take_less():
    fitting, setting = fitting_of(1, 4, 4), Setting(TINY)
    need, change = fitting.demand(setting), "all of a PE's memory (pe_memory: null)"
    assert need.fits
    limited = Fitting(fitting.graph, replace(fitting.training, pe_memory=100))
    demand = limited.demand(setting)
    assert not demand.fits
    assert (demand.bound, demand.unit) == (100, BYTES)
    found = next(one for one in report(limited, setting).levers if one.change == change)
    assert found.fits
    assert (found.predicted, found.unit) == (need.amount, need.unit)
    levers = report(fitting_of(*LARGE), setting).levers
    assert change not in {lever.change for lever in levers}
