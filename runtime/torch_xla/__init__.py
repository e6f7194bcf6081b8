"""The executor on torch_xla: the same tick as one traced program.

Reading order: executor, tick, stage (programs traced), loop and trace (one program, compiled
once), device.
"""
