"""Levers on saved activations: what each buys in plans, and what each costs in training."""
