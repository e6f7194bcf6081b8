"""A plan in numbers: the reference executor, the XLA executors, the trainer, data."""
