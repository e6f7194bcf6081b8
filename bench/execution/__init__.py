"""`weft bench run`: what a sample costs, by weft and by the loops a user would write instead.

Reading order: cases (networks and updates), loops, handwritten (the loop in JAX), device, times.
"""
