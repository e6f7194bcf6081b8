"""Plain text tables and numbers for everything of a plan that prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """Columns aligned by their widest cell: numbers to the right, words to the left."""
    body = [[_cell(value) for value in row] for row in rows]
    numeric = [
        bool(body) and all(_is_number(row[column]) for row in body)
        for column in range(len(headers))
    ]
    widths = [max(map(len, column)) for column in zip(headers, *body, strict=True)]
    lines = [headers, ["-" * width for width in widths], *body]
    return "\n".join(_line(line, widths, numeric, indent) for line in lines)


def facts(pairs: Iterable[tuple[str, str]], indent: str = "  ") -> str:
    """One 'name  value' per line, values aligned."""
    pairs = tuple(pairs)
    width = max((len(name) for name, _ in pairs), default=0)
    return "\n".join(f"{indent}{name:<{width}}  {value}".rstrip() for name, value in pairs)


def quantity(value: float, unit: str = "") -> str:
    """1234567 -> '1.23 M'; three significant digits, SI prefix."""
    for bound, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= bound:
            return f"{value / bound:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def cycles(value: float) -> str:
    """1794.0 -> '1,794 cycles'; the mean of unequal intervals with its fraction."""
    return f"{value:,.0f} cycles" if value == round(value) else f"{value:,.2f} cycles"


def duration(seconds: float) -> str:
    """0.00123 -> '1.23 ms'."""
    return _small(seconds, "s")


def energy(joules: float) -> str:
    """0.00123 -> '1.23 mJ'."""
    return _small(joules, "J")


def _small(value: float, unit: str) -> str:
    for bound, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "u")):
        if value >= bound:
            return f"{value / bound:.3g} {prefix}{unit}"
    return f"{value * 1e9:.3g} n{unit}"


def percent(share: float) -> str:
    """0.1234 -> '12.3 %'."""
    return f"{share * 100:.1f} %"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "", 1).removesuffix(" %").lstrip("-").isdigit()


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], indent: str) -> str:
    padded = (
        f"{cell:>{width}}" if right else f"{cell:<{width}}"
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return f"{indent}{'  '.join(padded)}".rstrip()
