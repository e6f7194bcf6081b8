"""The closed form: steady state and first sample of a plan, without stepping time.

Reading order: level, event_graph, cycle_ratio, first_sample.
"""
