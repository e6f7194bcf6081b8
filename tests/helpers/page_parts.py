"""Parts of pages, and what is drawn on them."""

from __future__ import annotations

from xml.etree import ElementTree

from weft.sim.validation.report import MeasuredPoint


def point_of(measured: float, simulated: float, set_name: str = "gemm") -> MeasuredPoint:
    return MeasuredPoint(
        set_name, "mesh_gemm", "cycles", "p=4 <tile>=2", measured, simulated, False
    )


def dots_of(svg: str) -> list[tuple[float, float]]:
    """Centres of the points; the legend's circles have no title."""
    found = ElementTree.fromstring(svg).findall("circle")
    return [
        (float(c.get("cx", 0)), float(c.get("cy", 0))) for c in found if c.find("title") is not None
    ]
