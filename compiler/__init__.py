"""From a torch model to a dataflow plan. Runs nothing, simulates nothing."""
