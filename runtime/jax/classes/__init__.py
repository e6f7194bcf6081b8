"""Isomorphic stages executed by one batched (vmapped) program.

Reading order: functions (a class of stages as one function), state (stacks of their tensors).
"""
