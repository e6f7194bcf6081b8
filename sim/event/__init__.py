"""Stage by stage in time: streams, finite FIFOs and links that are shared.

Reading order: level, state, engine, steady, recording, deadlock.
"""
