"""What differs between versions of torch: the one place where weft looks at more than one.

`make newest` runs the quick checks on the newest torch that the package index has. What was met:

- 2.9 prints the graph of what torch.export refuses on stderr; its loggers do so, too.
- 2.9 looks for a gradient of each tensor that it makes a fake one of, and warns of it.
- 2.14 warns that the list of weights that a recurrent layer keeps was assigned while it was traced:
  it holds the layer's own parameters, which stand in for it then.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch.export._trace as export_module

_LOGGERS = (
    *("torch.fx.experimental.symbolic_shapes", "torch._export", "torch.export"),
    "torch._subclasses.fake_tensor",
)
_SAID = (r"The \.grad attribute", r"The tensor attributes? self\.\S*_flat_weights")


@contextmanager
def export_in_silence() -> Iterator[None]:
    """torch.export without its dumps of graphs, and without warnings that are no user's matter."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    export_module.__dict__["print"] = lambda *values, **options: None
    try:
        with warnings.catch_warnings():
            for message in _SAID:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        export_module.__dict__.pop("print", None)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
