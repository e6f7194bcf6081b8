"""A plan in time, in closed form: one model for totals, placer and simulator.

Reading order: layout (stages on a mesh), streams and link_shares (how wide a stream is, and how
often it may send on links that others use), wiring (units and channels), part_cycles, event_graph
and cycle_ratio (when things happen), pace (the steady interval and what sets it), first_sample
(latency), totals.
"""
