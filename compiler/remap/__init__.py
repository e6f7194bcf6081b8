"""Masks that change after a plan was made: whether they still fit it, and how to map it again.

Reading order: mask_room (what a plan has room for), new_map, plan_tiles, sparse_costs.
"""
