"""The page of evidence: records of runs and rows of the quadratic, as tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from .quadratic import QuadraticRow
from .searched import Search
from .summary import Cell, Spread, cells
from .training import SEQUENTIAL, Record

TableText = tuple[list[str], list[list[str]]]
"""Headers and rows."""

_HEAD = """\
# Training at batch size 1 with delayed gradients: measured

Written by `weft bench training`. *batch 1* trains each sample through the whole network before the
next one and has no delay; *PB* is pipelined backpropagation, a gradient of the first stage arriving
as many updates late as the table says, one of the last stage at once. The names behind PB are delay
compensations (`weft.optim.compensations()`). A gap is the difference of means to batch 1 at the
same learning rate.

Rates were chosen with the test samples in sight, so absolute figures flatter all rows: on the
digits for pipelined runs with `sc+lwp`, on the text for undelayed ones (AdamW's rate, and four
times the rate of SGDM). Compare rows, not tables.
"""
_SEARCH_HEAD = """\
# Update rules under delay: measured

Written by `weft bench training -e rules` or `-e gpt`. *sequential* trains each sample through the
whole network before the next one and has no delay; *PB* is pipelined backpropagation. The rate of
every rule is chosen by the same search, on validation data; the test is read at the chosen rate
alone, with other seeds. A gap is the difference of means to the first row. *missing* is how many
runs a row still needs: the same command with the same `--records` goes on where it stopped.
"""
_QUADRATIC = """\
## The convex quadratic

Half-life of the error in updates, delay D, on a spectrum of condition kappa, at the learning rate
and momentum of a grid that are best by the roots of the characteristic polynomial. "roots" is the
half-life of the largest root; "run" is fitted to a run of the update rule itself there, between 15
and 45 half-lives: where two roots are nearly equal, the smaller one has not quite vanished by then.
"""


def page(
    records: Sequence[Record],
    rows: Sequence[QuadraticRow],
    planned: Mapping[str, int],
    search: Search | None = None,
    searched: Sequence[Record] = (),
) -> str:
    """The whole page in Markdown; `planned` is the number of runs that each experiment needs.

    `searched` are the records of a `search`.
    """
    parts = [_HEAD] if planned or rows else [_SEARCH_HEAD]
    for name, runs in planned.items():
        parts.append(_experiment(name, [r for r in records if r.experiment == name], runs))
    if search is not None:
        parts.append(search_part(search, searched))
    if rows:
        parts.append(_QUADRATIC)
        for condition in dict.fromkeys(row.condition for row in rows):
            table = quadratic_table([row for row in rows if row.condition == condition])
            parts.append(f"kappa = {condition}\n\n{markdown(table)}\n")
    return "\n".join(parts)


def _experiment(name: str, records: Sequence[Record], planned: int) -> str:
    title = f"## {name[0].upper()}{name[1:]}\n"
    left = planned - len(records)
    note = f"**Not finished: {left} of {planned} runs are missing.**\n" if left else ""
    if not records:
        return f"{title}\n{note}"
    seeds = ", ".join(str(seed) for seed in sorted({record.seed for record in records}))
    lines = [
        *dict.fromkeys(f"- {record.setup}" for record in records),
        f"- {_counted(records[0].epochs, 'epoch')}; {_counted(len(records), 'run')}, seeds {seeds};"
        " mean ± standard deviation over the seeds, with their number where it is not all of them",
        *dict.fromkeys(f"- {record.machine}" for record in records),
    ]
    table = markdown(training_table(records))
    return "\n".join([title, *([note] if note else []), *lines, "", table, ""])


def search_part(
    search: Search, records: Sequence[Record], named: Callable[[str], str] | None = None
) -> str:
    """A search as a part of a page; `named` gives the names of methods in its table."""
    name, left = search.experiment.name, search.runs - _done(search, records)
    lines = [f"## {name[0].upper()}{name[1:]}\n"]
    if left:
        lines.append(f"**Not finished: {left} of {search.runs} runs are missing.**\n")
    lines += [
        f"- {search.experiment.setup}",
        f"- {_counted(search.experiment.epochs, 'epoch')}, test seeds"
        f" {', '.join(map(str, search.seeds))}; mean ± standard deviation over the seeds",
        *dict.fromkeys(f"- {record.machine}" for record in records),
    ]
    table = search_table(search, records, named or searched_label)
    return "\n".join([*lines, "", markdown(table), ""])


def _done(search: Search, records: Sequence[Record]) -> int:
    """Runs of the search that are there, those that were only `first` left out."""
    return sum(len(_of_search(search, records, method)) for method in search.experiment.methods)


def _of_search(search: Search, records: Sequence[Record], method: str) -> list[Record]:
    factor = search.chosen_factor(method, {record.key: record for record in records})
    own = [record for record in records if record.method == method]
    return [r for r in own if r.part == "validation" or r.factor == factor]


def searched_label(method: str) -> str:
    """A method's name in the table of a search over update rules."""
    return method if method.endswith(SEQUENTIAL) else f"PB {method}"


def search_table(
    search: Search, records: Sequence[Record], named: Callable[[str], str] = searched_label
) -> TableText:
    """A row per method: validation losses by rate, the chosen rate, accuracy and loss in the test,
    the gap to the first method, and what is missing."""
    found = {record.key: record for record in records}
    rates = [f"{search.experiment.rate * factor:g}" for factor in search.factors]
    headers = ["method", *(f"val. at {rate}" for rate in rates), "chosen"]
    headers += ["accuracy, %", "loss, nats", "gap", "missing"]
    rows, first = [], Spread.of([])
    for method in search.experiment.methods:
        own = _of_search(search, records, method)
        tried, tested = ([r for r in own if r.part == part] for part in ("validation", "test"))
        cell = next(iter(cells(tested).values()), None)
        loss = Spread.of([]) if cell is None else cell.loss
        first = loss if method == search.experiment.methods[0] else first
        factor = search.chosen_factor(method, found)
        gap = _number(loss.mean - first.mean, 3, "+") if loss.count and loss is not first else ""
        missing = search.runs // len(search.experiment.methods) - len(tried) - len(tested)
        rows.append(
            [
                named(method),
                *(_validation(tried, factor) for factor in search.factors),
                "" if factor is None else f"{search.experiment.rate * factor:g}",
                "" if cell is None else _spread(cell.accuracy, scale=100, digits=2),
                _spread(loss, scale=1, digits=3) if loss.count else "",
                gap if first.count else "",
                str(missing) if missing else "",
            ]
        )
    return headers, rows


def _validation(records: Sequence[Record], factor: float) -> str:
    own = [math.inf if r.loss is None else r.loss for r in records if r.factor == factor]
    return _number(Spread.of(own).mean, 3) if own else ""


def training_table(records: Sequence[Record]) -> TableText:
    """A row per method; for each learning rate accuracy and loss with their gaps to batch 1."""
    found = cells(records)
    seeds = len({record.seed for record in records})
    factors = list(dict.fromkeys(factor for _, factor in found))
    headers = ["method", "delay"]
    for factor in factors:
        rate = next(cell.rate for cell in found.values() if cell.factor == factor)
        headers += [f"lr {rate:g}: accuracy, %", "gap", "loss, nats", "gap"]
    rows = []
    for method in dict.fromkeys(method for method, _ in found):
        own = [found.get((method, factor)) for factor in factors]
        delay = max(cell.first_delay for cell in own if cell is not None)
        row = [label(method), f"{delay} to 0" if delay else "0"]
        for factor, cell in zip(factors, own, strict=True):
            row += _columns(cell, found.get((SEQUENTIAL, factor)), seeds)
        rows.append(row)
    return headers, rows


def _columns(cell: Cell | None, plain: Cell | None, seeds: int) -> list[str]:
    if cell is None:
        return ["", "", "", ""]
    notes = [f"{_counted(cell.accuracy.count, 'seed')}"] if cell.accuracy.count < seeds else []
    notes += [f"{cell.diverged} diverged"] if cell.diverged else []
    note = f" ({', '.join(notes)})" if notes else ""
    gaps = ["", ""]
    if plain is not None and cell.method != SEQUENTIAL:
        gaps[0] = _number(100 * (cell.accuracy.mean - plain.accuracy.mean), 2, "+")
        gaps[1] = _number(cell.loss.mean - plain.loss.mean, 3, "+")
    accuracy = _spread(cell.accuracy, scale=100, digits=2)
    return [accuracy + note, gaps[0], _spread(cell.loss, scale=1, digits=3), gaps[1]]


def label(method: str) -> str:
    """A method's name in a table."""
    if method == SEQUENTIAL:
        return "batch 1"
    return "PB" if method == "none" else f"PB + {method}"


def _spread(spread: Spread, scale: float, digits: int) -> str:
    mean = _number(scale * spread.mean, digits)
    if math.isnan(spread.deviation):
        return mean
    return f"{mean} ± {_number(scale * spread.deviation, digits)}"


def _number(value: float, digits: int, sign: str = "") -> str:
    """So many digits after the point; a run that went astray may need an exponent."""
    return f"{value:{sign}.{digits}f}" if abs(value) < 1e4 else f"{value:{sign}.3g}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def quadratic_table(rows: Sequence[QuadraticRow]) -> TableText:
    """A row per method; for each delay the half-life by the roots and the measured one."""
    delays = list(dict.fromkeys(row.delay for row in rows))
    by_place = {(row.method, row.delay): row for row in rows}
    headers = ["method", *(f"D = {delay}: {kind}" for delay in delays for kind in ("roots", "run"))]
    table = []
    for method in dict.fromkeys(row.method for row in rows):
        own = [by_place[method, delay] for delay in delays]
        values = [value for row in own for value in (row.by_roots, row.measured)]
        table.append(["SGDM" if method == "none" else method, *(f"{v:.4g}" for v in values)])
    return headers, table


def markdown(table: TableText) -> str:
    """A table in Markdown."""
    headers, rows = table
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
