"""What if: one recipe under many settings, each compiled and simulated.

Reading order: axes (what varies), points (which combinations), outcome, evaluate (of a recipe),
log (one line a point, resumed), workers (processes, Ray), run (each point once), search (Optuna),
front (what nothing beats), page (scale and pictures: all of it to look at).
What is checked first, axes to log, imports no torch.
"""
