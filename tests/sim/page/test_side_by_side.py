"""Several plans and runs on one page."""

from __future__ import annotations

import json
import re

import pytest
from helpers import plans
from weft.backend.errors import UserError
from weft.compiler.plan.text.numbers import quantity
from weft.sim import simulate
from weft.sim.page.side_by_side import SimulatedPlan, Trained, read_metrics, side_by_side_html

FAST = plans.chain([(10, 20, 5), (10, 10, 10)], size=400)
SLOW = plans.chain([(10, 20, 5), (30, 40, 10)], size=400)
PLANS = [SimulatedPlan(n, p, simulate(p, 200)) for n, p in (("fast", FAST), ("slow", SLOW))]
RUN = Trained("run", ({"samples": 10, "loss": 2.0}, {"samples": 20, "loss": 1.0,
                                                      "test_accuracy": 0.75}))  # fmt: skip


def test_every_plan_has_a_column_and_a_floorplan():
    page = side_by_side_html(PLANS, [])
    row = page[page.index("<th>throughput</th>") :].partition("</tr>")[0]
    assert re.findall(r"<b>(.*?)</b>", row) == [
        f"{quantity(entry.report.throughput_samples_per_s)} samples/s" for entry in PLANS
    ]
    assert page.count('class="floorplan"') == 2
    assert "Training loss" not in page


def test_floorplans_show_the_same_part_of_their_wafers():
    drawn = re.findall(r"[\d,]+ x [\d,]+ PEs of the wafer", side_by_side_html(PLANS, []))
    assert len(drawn) == 2
    assert len(set(drawn)) == 1


def test_runs_have_a_line_each_and_a_legend():
    page = side_by_side_html([], [RUN, Trained("other", RUN.records)])
    assert page.count("<polyline") == 4
    assert page.count(">other</text>") == 2
    assert "Floorplans" not in page
    assert "75.0%" in page


def test_runs_without_tests_have_no_accuracy():
    assert "Test accuracy" not in side_by_side_html([], [Trained("run", RUN.records[:1])])


def test_a_line_that_was_not_finished_is_left_out(tmp_path):
    lines = [json.dumps(record) for record in RUN.records]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, lines[0][:9]]))
    assert read_metrics(tmp_path) == RUN.records


@pytest.mark.parametrize("wrong", ["[1]", "{}", "text", '{"samples": "x"}'])
def test_another_file_is_refused_by_line(tmp_path, wrong):
    (tmp_path / "metrics.jsonl").write_text(f'{wrong}\n{{"samples": 1}}\n')
    with pytest.raises(UserError, match=r"metrics.jsonl:1"):
        read_metrics(tmp_path)


def test_runs_have_a_table_of_their_last_values():
    other = Trained("other", ({"samples": 1_000, "loss": 0.51234, "learning_rate": 0.1},))
    page = side_by_side_html([], [RUN, other])
    rows = dict(re.findall(r"<tr><th>([\w ]+)</th>(<td>.*?)</tr>", page, re.DOTALL))
    cells = {what: re.findall("<td>(.*?)</td>", row) for what, row in rows.items()}
    assert cells["samples"] == ["20", "1,000"]
    assert cells["loss"] == ["1", "0.5123"]
    assert cells["test accuracy"] == ["0.75", ""]
    assert cells["learning rate"] == ["", "0.1"]
