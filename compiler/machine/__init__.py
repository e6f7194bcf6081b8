"""What the machine takes for what a program asks of it: the one home of cycle formulas.

Plans, published kernels and the fabric level's expectations are priced by the same functions, over
arrays of tilings. Reading order: arrays and tilings; instruction (starts, SIMD groups, memory
ports) and local_product (a tile's arithmetic); collectives (broadcast, chain, tree, two phases) and
exchange (neighbours); then whole products on a region: product (what lies where), multicast, lines,
ring and summa.
"""
