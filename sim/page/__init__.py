"""Reports and traces of a simulation: one HTML page, its charts, and a trace file.

Reading order: page, then charts, heatmap, loglog, memory_chart; trace; advice, energy,
memory.
"""
