"""Stages --map--> Kernels: the Pareto set of tilings of every stage.

Reading order: choices (the artefacts), map (the pass), pricing, pareto, sharing (stages of one
region), apart (two regions of a stage), finer (tilings about the pace of a full machine),
infeasible and contributors (the report when nothing fits), coverage (operators without a kernel).
"""
