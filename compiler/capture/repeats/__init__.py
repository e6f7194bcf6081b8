"""Blocks that a model repeats are traced twice, however often they are called.

    h.0(x)   traced: a body         enter [x]; layer_norm; ...; leave [y]
    h.1(y)   traced: its witness    enter [y]; layer_norm; ...; leave [z]
    h.2(z)   not run                again [z]                 ->  layer_norm; ...

A module is built like another if classes, parameters, buffers and submodules agree (structure.py).
What else it may depend on is watched while its body is traced: arguments, and each attribute that
is read (reads.py). A call that agrees in all of that becomes one operator (recorder.py), which is
replaced by the body's nodes with the call's own parameters and operands (expand.py).
"""

from .export import export_repeated as export_repeated
