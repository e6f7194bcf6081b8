"""One pipeline tick in terms that every executor shares.

Reading order: job (what is executed, and the protocol of executors), wiring (who reads what),
fifo_depths and shard (how long values wait, and where), train_state, masks and mask_updates,
stage_classes (isomorphic stages), dispatches, snapshot, evaluation, precision.
"""
