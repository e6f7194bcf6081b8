"""A training run: from a recipe and a plan to losses, weights and reports.

Reading order: make_job (recipe to job), trainer (the loop), tester and scores, report and logs,
phases, map_watch, interrupt and device_failure, data_fit and predict.
"""
