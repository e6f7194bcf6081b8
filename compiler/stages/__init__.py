"""Graph --group--> Assignment --coarsen--> Assignment --cut--> Stages.

Reading order: group (the finest stages), coarsen and balanced_runs (coarser ones), cut (programs of
their own), joint and forward_backward (how a stage's program is made), recompute, tied_weights,
skip_streams (streams relayed by the stages between source and sink), program_cache, open_graph.
"""
