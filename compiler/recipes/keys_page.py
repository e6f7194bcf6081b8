"""docs/recipes.md, made from the schema of a recipe.

python -m weft.compiler.recipes.keys_page > docs/recipes.md
"""

from __future__ import annotations

from .keys import PartKeys, parts

INTRODUCTION = """\
# Recipes

This page is generated: `make docs`. A recipe is a YAML file that says what to compile, for which
machine, and how to train it. Only `model` is required, and `input.shape` where the model is not one
of weft's own; everything else has a default.

```sh
weft recipe init resnet20 -o recipe.yaml
weft recipe check recipe.yaml
weft recipe show recipe.yaml
```

`init` writes every key with its meaning and its value. `check` says what can be known to be wrong
before anything is compiled, and with which learning rate, momentum and betas a sample is trained.
`show` prints every key with its type, its default and the value it has there; without a recipe, the
defaults. `--set key=value` overrides any key, here as in `weft compile`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *map(_section, parts())])


def _section(part: PartKeys) -> str:
    lines = [f"## {part.name}" if part.name else "## The recipe itself", "", part.about, ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{key.name}` | {key.kind} | {f'`{key.default}`' if key.default else 'required'}"
        f" | {key.meaning} |"
        for key in part.keys
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(page(), end="")
