"""What a PE holds while a stage runs: every class of memory, and the workspace of an operator."""
