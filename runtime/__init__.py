"""Runs a plan: losses, weights, checkpoints.

Reading order: reference/ (the meaning of a tick in plain torch), tick/ (what executors share), jax/
and torch_xla/ (the same tick through XLA), executors (by name) and probe (which of them work here),
data/ and weights/ (what goes in), checkpoint/, training/ (a whole run), torch_compile/ (the backend
of torch.compile).
"""
