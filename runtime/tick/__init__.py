"""One pipeline tick in terms that every executor shares; the plan's schedule says what it does.

Reading order: job (what is executed, and the protocol of executors), train_state, stage (one
stage's forward, backward and update), engine (the loop over a schedule's steps), stage_classes
(isomorphic stages), shard (stages of one device), masks and mask_updates, dispatches, snapshot,
evaluation, precision.
"""
