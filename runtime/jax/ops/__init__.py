"""ATen operators as JAX functions.

Reading order: lower (a graph becomes a function), table (all operators by name), then one file per
family of operators.
"""
