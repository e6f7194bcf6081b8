"""`torch.compile(model, backend="weft")`: see docs/torch-compile.md."""
