"""The page in a browser without a window: its script runs, and says nothing on the console."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from helpers import plans
from weft.sim import simulate
from weft.sim.page.page import write_report

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


@pytest.mark.skipif(not BROWSER, reason="no chromium on this machine")
@pytest.mark.parametrize(("address", "shown"), [("", "layer1"), ("#stage=2", "layer2")])
def test_a_stage_is_chosen(tmp_path, address, shown):
    page = tmp_path / "page.html"
    write_report(PLAN, simulate(PLAN, 50), page)
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"{page.as_uri()}{address}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    panel = done.stdout[done.stdout.index('id="chosen"') :]
    assert f"<h3>{shown}</h3>" in panel
    assert f"{simulate(PLAN, 50).stages[int(shown[-1])].forward_cycles} forward" in panel
