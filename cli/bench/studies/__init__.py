"""Benchmarks that train, on data or on paper, and keep their rows."""
