"""The executor on JAX: a pipeline tick is one XLA program.

Reading order: executor, tick (the pipelined schedule), sequential, stage (one stage's forward,
backward and update), fifo, ops/ (ATen to JAX), classes/ (isomorphic stages as one batched program),
shards/ (several devices), forward and evaluation (predictions), snapshot, cache.
"""
