"""Contrast of the pages' colours in both modes, as the guidelines ask for it at level AA."""

from __future__ import annotations

import re
from importlib import resources
from itertools import combinations
from math import dist

import pytest
from weft.compiler.plan.picture.colours import contrast, ramp
from weft.compiler.plan.picture.floorplan import STYLE
from weft.sim.page import page
from weft.sim.page.time_shares import MEANINGS

TEXT, PICTURE = 4.5, 3.0
"""Web Content Accessibility Guidelines 2.1: 1.4.3 (small text), 1.4.11 (parts of pictures)."""
CSS = resources.files(page.__package__).joinpath("templates/style.css").read_text("utf-8")
LIGHT_CSS, DARK_CSS = CSS.split("@media (prefers-color-scheme: dark)", 1)
DARK_CSS = DARK_CSS.split("\n}", 1)[0]


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", css))


LIGHT = colours(LIGHT_CSS)
MODES = {"light": LIGHT, "dark": {**LIGHT, **colours(DARK_CSS)}}
DRAWN = [name for name in LIGHT if name not in ("page", "card", "ink", "soft", "line", "mark")]


def test_contrast_is_that_of_the_guidelines():
    """Of black and white, and of a colour that tools agree on."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ground", ["page", "card", "mark"])
@pytest.mark.parametrize("text", ["ink", "soft", "link"])
def test_text_can_be_read(mode, ground, text):
    assert contrast(MODES[mode][text], MODES[mode][ground]) >= TEXT


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", DRAWN)
def test_lines_and_bars_can_be_seen(mode, name):
    assert contrast(MODES[mode][name], MODES[mode]["card"]) >= PICTURE


def test_every_colour_follows_the_mode():
    """What is drawn has a colour that the mode sets, not one of its own."""
    rules = CSS.split("* { box-sizing", 1)[1]
    assert not re.findall(r"#[0-9a-f]{3,8}\b", re.sub(r"#[a-z]+ ", "", rules))


@pytest.mark.parametrize("reason", MEANINGS)
def test_every_reason_of_idle_time_has_a_colour(reason):
    assert re.search(rf"\.{reason}\b[^{{]*{{ background: var", CSS)


@pytest.mark.parametrize("percent", range(101))
def test_numbers_on_regions_can_be_read(percent):
    assert contrast(*ramp(percent / 100)) >= TEXT


@pytest.mark.parametrize("mode", MODES)
def test_text_beside_a_floorplan_can_be_read(mode):
    light, dark = STYLE.split("@media")
    found = re.findall(r"text\{[^}]*fill:(#[0-9a-f]{3,6})", dark if mode == "dark" else light)
    for colour in found:
        full = colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:])
        assert contrast(full, MODES[mode]["page"]) >= TEXT
    assert found


def lab(colour: str) -> tuple[float, float, float]:
    """CIE 1976 L*a*b* of sRGB, by the formulas of the standard; white is (100, 0, 0)."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    rows = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    x, y, z = (sum(a * b for a, b in zip(row, linear, strict=True)) / sum(row) for row in rows)
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("mode", MODES)
def test_parts_of_one_bar_can_be_told_apart(mode):
    """Ten times the difference that is just noticeable, 2.3, is far."""
    names = {*MEANINGS} - {"unattributed", "link"} | {"links", "forward", "backward", "update"}
    found = {name: lab(MODES[mode][name]) for name in names}
    near = {pair: dist(found[pair[0]], found[pair[1]]) for pair in combinations(sorted(names), 2)}
    assert {pair: value for pair, value in near.items() if value < 20} == {}
