"""Regions of several stages, and how tensors lie on a region, derived again."""
