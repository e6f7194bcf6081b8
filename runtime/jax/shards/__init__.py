"""One pipeline over several devices: each runs a shard of consecutive stages.

Reading order: balance (which stages go where), tick, transfer (what crosses devices), slots and
arrays (states of unlike shapes in one SPMD program), layout (to and from one device), devices and
processes.
"""
