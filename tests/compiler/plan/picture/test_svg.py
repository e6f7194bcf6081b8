"""Parts of pictures say what they hold, whatever text they are given."""

from __future__ import annotations

from xml.etree import ElementTree

from weft.compiler.plan.picture.svg import axis, colour_scale, picture, text, tooltip


def test_pictures_are_sound_whatever_they_are_told() -> None:
    hostile = "<a & 'b'>"
    body = text(1, 2, hostile, "start") + axis("M0 0H1") + colour_scale(hostile, 0, 0, 9)
    found = ElementTree.fromstring(picture(10, 20, f"<g>{tooltip(hostile)}</g>{body}", hostile))
    assert found.get("viewBox") == "0 0 10 20"
    assert found.get("aria-label") == hostile
    assert [node.text for node in found.iter("text")] == [hostile]
    assert [node.text for node in found.iter("title")] == [hostile]


def test_a_scale_is_filled_by_the_gradient_of_its_name() -> None:
    found = ElementTree.fromstring(f"<svg>{colour_scale('idle share', 0, 0, 9)}</svg>")
    (gradient,) = found.iter("linearGradient")
    (bar,) = found.iter("rect")
    assert bar.get("fill") == f"url(#{gradient.get('id')})"
    assert " " not in (gradient.get("id") or " ")
    offsets = [float(stop.get("offset") or -1) for stop in found.iter("stop")]
    assert offsets == sorted(offsets)
    assert (offsets[0], offsets[-1]) == (0, 1)
