"""The model itself, run once by torch, is held against what its stages compute.

Reading order: witness (the pass), values and precision (the numbers both compute with), eager and
draws (the model), staged (its stages), compare (what is the same); on disagreement parting, which
finds the first operator where the two part.
"""
