"""`fit: auto`: pulls levers until a model fits a machine, or reports why it cannot.

Reading order: setting (what can be varied, and what it costs), levers, fit, fitted_recipe.
"""
