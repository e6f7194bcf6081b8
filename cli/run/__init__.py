"""Verbs that train, and what a run leaves: checkpoints, predictions, exported weights."""
