"""Kernel families: what every operator of a stage costs on a region of PEs, for many tilings."""
