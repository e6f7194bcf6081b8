"""The page in a browser without a window: its script runs, and says nothing on the console."""

from __future__ import annotations

import pytest
from helpers import plans
from helpers.browser import BROWSER, asked, dom
from weft.sim import simulate
from weft.sim.page.page import write_report

PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


@pytest.mark.skipif(not BROWSER, reason="no chromium on this machine")
@pytest.mark.parametrize(("address", "shown"), [("", "layer1"), ("#stage=2", "layer2")])
def test_a_stage_is_chosen(tmp_path, address, shown):
    page = tmp_path / "page.html"
    write_report(PLAN, simulate(PLAN, 50), page)
    shown_as, said = dom(page, address)
    assert "CONSOLE" not in said
    panel = shown_as[shown_as.index('id="chosen"') :]
    assert f"<h3>{shown}</h3>" in panel
    assert f"{simulate(PLAN, 50).stages[int(shown[-1])].forward_cycles} forward" in panel


@pytest.mark.skipif(not BROWSER, reason="no chromium on this machine")
@pytest.mark.parametrize(("slowest", "moves"), [(22, False), (75, True)])
def test_the_list_moves_only_to_a_stage_that_it_does_not_show(tmp_path, slowest, moves):
    page = tmp_path / "page.html"
    plan = plans.chain([(10, 20, 5 + 9 * (i == slowest)) for i in range(80)], size=400)
    write_report(plan, simulate(plan, 200), page)
    at = asked(page, "() => document.querySelector('.network-box').scrollTop")
    assert (at > 0) == moves
