"""A causal model without some of its blocks, tuned on answers as they are and in its own words.

Reading order: words (text, questions and answers), whole (the model before), tuning (by the
pipeline), runs (all of a seed), study (rows and tables).
"""
