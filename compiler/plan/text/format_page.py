"""docs/plan-format.md, made from the dataclasses of a plan and their field docstrings.

python -m weft.compiler.plan.text.format_page > docs/plan-format.md
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

from ..document import FORMAT_VERSION, PlanDocument
from .field_docstrings import field_docstrings

INTRODUCTION = f"""\
# Plan format {FORMAT_VERSION}

This page is generated: `make docs`. A plan is a directory:

| file | holds |
|---|---|
| `plan.yaml` | everything below: what runs where, how long it takes, what it needs |
| `stages/KEY.json` | forward and backward graph of one distinct stage program |
| `weights.safetensors` | parameters and state by name; a mask as `mask:NAME`, bits packed; \
no tensors for a model compiled on the meta device |
| `plan.sha256` | SHA-256 of plan.yaml, in the form `sha256sum -c` reads |

Nothing else is needed to read, check, simulate or train it: not the model's source, and loading
neither unpickles nor imports. The same input gives the same bytes, in any process.

## Reading and editing

plan.yaml is for people: it can be read, searched and compared (`weft show`, `weft diff`, or plain
`diff`). It holds the SHA-256 of every other file, and plan.sha256 holds its own, so that a lost
line, a bad merge or a truncated copy is noticed wherever it happened. These are no signatures: they
guard against accidents, not against people.

`weft.load`, `weft simulate` and `weft train` refuse a plan that is not as it was written. `weft
show` and `weft diff` read an edited plan.yaml and say so. `weft check` reports it as
`file-altered`, beside the rules that the edit broke; `weft check --accept` writes plan.sha256 anew
if it broke none. Programs and weights cannot be edited: they follow from the model.

A plan of another format is refused with the version that wrote it: compile the model again.

## Tables

plan.yaml is YAML. A list of records without records in them (`operators`, `edges`, `parameters`,
`provenance` and others) is a block of text: a line of field names, then a line for each record. A
single small one (`cycles`, `nonzeros`, `memory_per_pe` and others) is a line of its fields.

```yaml
operators: |
  name  operator           family       phase    module    source        macs_dense  ...
  relu  aten.relu.default  elementwise  forward  blocks.0  resnet.py:42           0  ...
cycles: forward_cycles=11 backward_cycles=30 update_cycles=0
```

`regions` has each region once: its id, then the fields of its rectangle and its tiling. A stage's
`uses` name it by its id; in JSON they hold it.

A cell is JSON without spaces outside of quotes; a text goes without quotes if it has neither spaces
nor quotes and its field holds nothing but texts. Any number of spaces separates two cells.
`weft show --json` writes the same records as JSON.

## A stage's program

`stages/KEY.json` holds two functional graphs over explicit tensors (`docs/stages.md`) and the
shapes of what goes in and out. KEY is a hash of both graphs. A graph is a list of `inputs` (shape
and dtype), of `calls` and of `outputs`; values are numbered in this order, inputs first:

```json
{{"call": "aten.relu.default", "args": [{{"node": 2}}], "kwargs": {{}},
 "gives": {{"shape": [1, 64], "dtype": "float32"}}}}
```

Only operators of the namespaces aten and weft can be called.

## Fields of plan.yaml

Cycles are cycles of `clock_hz` for one sample. A PE is a processing element. A field without a unit
is a name, a text or a record. Lists keep their order.
"""
_UNIT = re.compile(r"\s*\[([^\]]+)\]$")


@dataclasses.dataclass(frozen=True)
class FieldRow:
    """One field of the page: its type in words, its unit ('' for none), what it means."""

    name: str
    kind: str
    unit: str
    meaning: str


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(_section(kind) for kind in records())])


def records() -> list[type]:
    """PlanDocument and all records in it, in the order in which they are first met."""
    found: list[type] = [PlanDocument]
    for kind in found:
        for hint in typing.get_type_hints(kind).values():
            found += [inner for inner in _records_in(hint) if inner not in found]
    return found


def rows(kind: type) -> Iterator[FieldRow]:
    """One row per field: its docstring is the meaning, brackets at its end are the unit."""
    meanings = field_docstrings(kind)
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        meaning = meanings.get(field.name, "")
        unit = _UNIT.search(meaning)
        yield FieldRow(
            field.name,
            _words(hints[field.name]),
            unit.group(1) if unit else "",
            " ".join(_UNIT.sub("", meaning).split()),
        )


def _section(kind: type) -> str:
    about = inspect.cleandoc(kind.__doc__ or "")
    lines = [f"### {kind.__name__}", "", about, "", "| field | type | unit | meaning |"]
    lines += ["|---|---|---|---|"]
    lines += [f"| `{row.name}` | {row.kind} | {row.unit} | {row.meaning} |" for row in rows(kind)]
    return "\n".join([*lines, ""])


def _records_in(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
    for argument in typing.get_args(hint):
        yield from _records_in(argument)


def _words(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_words(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_words, arguments))}]"
    if origin is dict:
        return f"mapping to {_words(arguments[1])}"
    if origin is types.UnionType:
        return " or ".join(map(_words, arguments))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return "anything" if hint is object else str(hint.__name__)


if __name__ == "__main__":
    print(page(), end="")
