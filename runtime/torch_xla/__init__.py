"""The executor on torch_xla: the same tick as one traced program.

Reading order: executor, tick, sequential, stage, loop and trace (one program, compiled once),
snapshot, device.
"""
