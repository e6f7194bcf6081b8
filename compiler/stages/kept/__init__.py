"""What stages keep of each sample for their backward, beside recompute.

Reading order: least_saved (the fewest bytes), keeping (the choice), reversible (what later stages
give back), inverse and rebuilding (how its programs are made), pack_saved (8 bits).
"""
