"""Tasks one after the other, with and without a plastic head.

Reading order: tasks (permuted and split images), learner (one run), study (all runs, the table).
"""
