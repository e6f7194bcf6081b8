"""Reversible layers in a captured graph: which nodes are their updates, and halves as values."""
