"""The executor on JAX: a pipeline tick is one XLA program.

Reading order: executor (the loop over ticks), home (where its state lives), tick, stage (programs
lowered), traffic, fifo and rings (what is in flight), ops/ (ATen to JAX), classes/ (isomorphic
stages as one batched program), shards/ (several devices), evaluation (predictions), cache.
"""
