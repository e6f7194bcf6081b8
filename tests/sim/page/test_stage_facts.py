"""What the page's script shows of a chosen stage is what plan and report say."""

from __future__ import annotations

import json
from dataclasses import replace

from helpers import plans
from weft.sim import simulate
from weft.sim.page.advice import advise
from weft.sim.page.stage_facts import stage_facts

PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


def facts_of(plan):
    report = simulate(plan, 100)
    return stage_facts(plan, report, advise(plan, report))


def test_stages_have_their_facts_and_streams():
    data = json.loads(facts_of(PLAN))
    assert [stage["name"] for stage in data] == [stage.id for stage in PLAN.stages]
    middle = dict(data[1]["facts"])
    assert middle["source"] == "net.py:2"
    assert middle["cycles"] == "30 forward, 40 backward, 10 update"
    assert middle["busy"].startswith("100.0 %")
    assert [row["stage"] for row in data[1]["from"]] == [0]
    assert [row["stage"] for row in data[1]["to"]] == [2]
    assert data[0]["from"][0]["stage"] == -1


def test_of_two_regions_it_says_what_each_is_for():
    chain = plans.chain([(10, 20, 5), (40, 70, 10), (10, 10, 10)], size=400)
    plan = plans.apart(plans.backward_first(chain), 1)
    middle = dict(json.loads(facts_of(plan))[1]["facts"])
    assert middle["region"].endswith(": half for the forward, half for the rest")
    assert middle["busy"] == "75.0 % of the interval, in the mean over two regions"


def test_it_can_stand_in_a_script_element():
    odd = replace(PLAN, stages=(replace(PLAN.stages[0], module="</script><b>"), *PLAN.stages[1:]))
    text = facts_of(odd)
    assert "<" not in text
    assert dict(json.loads(text)[0]["facts"])["module"] == "</script><b>"
