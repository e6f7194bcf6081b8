"""Stages --map--> Kernels: the Pareto set of tilings of every stage.

Reading order: choices (the artefacts), map (the pass), pricing, pareto, infeasible and contributors
(the report when nothing fits), coverage (operators without a kernel).
"""
