"""Verbs that compile and simulate: comparison of machines, sweeps, validation."""
