"""The definition: the tick in plain torch, which every other executor is compared with.

Reading order: executor, state (what it holds, and snapshots of it).
"""
