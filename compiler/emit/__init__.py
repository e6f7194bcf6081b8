"""Stages, Placement --emit--> Plan.

Reading order: emit (the pass), row_windows (in how many parts a sample crosses a stream).
"""
