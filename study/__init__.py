"""What needs a compiler and a simulator: comparisons of machines, and validation.

Reading order: compare and roofline (one model on several machines), validate (published rows,
simulated), training (published training runs, compiled and simulated), holdout (constants fitted
anew without a set).
"""
