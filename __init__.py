"""weft: compile torch models to dataflow plans, simulate them, train them through XLA."""

__version__ = "0.1.0"
