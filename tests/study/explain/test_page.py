"""An explanation as one HTML page, without network."""

import pytest
from helpers.explained_plan import PLAN
from weft.compiler.plan.causes import EXCHANGE
from weft.study.explain import explain
from weft.study.explain.page import page_of


@pytest.fixture(scope="module")
def explanation():
    return explain(PLAN)


def test_the_explanation_prints_and_is_a_page(explanation):
    text = explanation.summary()
    assert "more PEs for " in text
    assert "this plan" in text
    assert "memory ports" in text
    assert EXCHANGE in text
    pytest.importorskip("jinja2")
    page = page_of(explanation)
    assert explanation.falls[0].stage in page
    assert "Other machines" in page
