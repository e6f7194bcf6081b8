"""The page of the study of CIFAR-10."""

from __future__ import annotations

from collections.abc import Sequence

from ..evidence import TableText, label, markdown, search_part
from ..paired import paired
from ..searched import Search
from ..training import SEQUENTIAL, Record
from .recipe import BY_TORCH, METHODS

_HEAD = """\
# CIFAR-10: batch size 1, with and without delay

Written by `weft bench training -e cifar10`. *batch 128, BatchNorm* is ordinary training in eager
torch; *batch 1* trains each sample through the whole network before the next one, with Online
Normalization; *PB* is pipelined backpropagation at its finest, a gradient of the first stage
arriving 66 updates late, with a compensation. Weights at the start, the order of the samples and
how they are changed are the same for all three at one seed.

Every method has the same search: each rate once, one epoch, another seed, scored on a part of the
training images that no run trains on. At the rate of the least validation loss it is run with each
seed, and the test images are read once, at the end of a run. The images are decoded JPEGs of
CIFAR-10: compare rows with each other, and published figures only roughly. *missing* is how many
runs a row still needs: the same command with the same `--records` goes on where it stopped, and
with the same `--progress` in the middle of a run.
"""


def cifar_page(search: Search, records: Sequence[Record]) -> str:
    """The whole page in Markdown."""
    parts = [_HEAD, search_part(search, records, _named), _gaps(search, records)]
    first = [r for r in records if _is_first(search, r)]
    if first:
        rate, epochs = f"{first[0].rate:g}", first[0].epochs
        parts.append(
            f"## The usual rate\n\nThe published rate of {rate}, seed {first[0].seed}, {epochs}"
            " epochs, run before any search. Seconds are of the processor, one thread.\n\n"
            f"{markdown(usual_table(first))}\n"
        )
    return "\n".join(part for part in parts if part)


def usual_table(records: Sequence[Record]) -> TableText:
    """A row per method: accuracy and loss in the test, and what a sample took."""
    rows = [
        [
            _named(record.method),
            f"{record.first_delay} to 0" if record.first_delay else "0",
            "diverged" if record.diverged else f"{100 * record.accuracy:.2f}",
            "" if record.loss is None else f"{record.loss:.3f}",
            f"{1e3 * record.seconds / record.samples:.2f}" if record.samples else "",
        ]
        for method in METHODS
        for record in records
        if record.method == method
    ]
    return ["method", "delay", "accuracy, %", "loss, nats", "ms a sample"], rows


def _gaps(search: Search, records: Sequence[Record]) -> str:
    """What delay and small batches cost: accuracy by pairs of seeds at the chosen rates."""
    found = {record.key: record for record in records}
    chosen = {method: search.chosen_factor(method, found) for method in METHODS}
    own = [r for r in records if r.part == "test" and r.factor == chosen[r.method]]
    lines = [
        _gap_line(own, method, other)
        for method, other in ((METHODS[2], SEQUENTIAL), (SEQUENTIAL, BY_TORCH))
    ]
    return "\n".join([line for line in lines if line] + [""]) if any(lines) else ""


def _gap_line(records: Sequence[Record], method: str, other: str) -> str:
    gap = paired(records, method, other)
    if not gap.seeds:
        return ""
    error = f" ± {100 * gap.error:.2f} (standard error)" if len(gap.seeds) > 1 else ""
    seeds = ", ".join(map(str, gap.seeds))
    return (
        f"- {_named(method)} less {_named(other)}: {100 * gap.mean:+.2f}{error} points of accuracy,"
        f" seeds {seeds}"
    )


def _is_first(search: Search, record: Record) -> bool:
    return record.key in {search.experiment.key(setting) for setting in search.first}


def _named(method: str) -> str:
    return method if method == BY_TORCH else label(method)
