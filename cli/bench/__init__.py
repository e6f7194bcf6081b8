"""`weft bench`: a function of options for each benchmark, and the table of all in verbs.py."""
