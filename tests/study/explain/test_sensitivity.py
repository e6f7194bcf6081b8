"""What a model would be if one constant of its machine were better by a factor of two."""

from dataclasses import replace

import pytest
from helpers.explained_plan import PLAN, TARGET, compiled
from weft.study.explain.sensitivity import sensitivities


def test_sensitivities_are_those_of_compiles_for_such_machines():
    rows = {row.name: row for row in sensitivities(PLAN, TARGET)}
    base = rows["as it is"].throughput_samples_per_s
    assert base == pytest.approx(PLAN.document.totals.throughput_samples_per_s)
    hop = compiled(replace(TARGET, noc=replace(TARGET.noc, hop_cycles=0.5)))
    assert rows["hop"].interval_cycles == hop.document.totals.initiation_interval_cycles
    links = compiled(replace(TARGET, noc=replace(TARGET.noc, link_bytes_per_cycle=8)))
    assert rows["links"].interval_cycles == links.document.totals.initiation_interval_cycles
    assert rows["clock"].gain == pytest.approx(1.0, abs=0.05)
    assert rows["clock"].constants == "clock_hz 8.5e+08 > 1.7e+09"


def test_a_machine_that_the_plan_does_not_fit_has_a_reason(monkeypatch):
    from weft.study.explain import sensitivity as module

    monkeypatch.setattr(module, "_RATES", {"less SRAM": ("sram.bytes_per_pe",)})
    monkeypatch.setattr(module, "_FACTOR", 0.1255)
    rows = sensitivities(PLAN, TARGET)
    assert rows[1].throughput_samples_per_s is None
    assert rows[1].reason
