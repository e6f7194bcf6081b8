"""A model exported with repeated blocks traced twice at most."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from .expand import expand
from .recorder import Recorder

_OWN = (InputKind.PARAMETER, InputKind.BUFFER)


def export_repeated(model: nn.Module, export: Callable[[], ExportedProgram]) -> ExportedProgram:
    """What `export` makes of the model, the same as without the shortcut.

    Raises UnlikeError where it would not be the same, and what `export` raises.
    """
    recorder = Recorder(model)
    if not recorder.instances:
        return export()
    with recorder.recording():
        exported = export()
    specs = exported.graph_signature.input_specs
    tensors = {spec.arg.name: str(spec.target) for spec in specs if spec.kind in _OWN}
    expand(exported.graph_module, tensors, recorder.calls, recorder.witnesses)
    return exported
