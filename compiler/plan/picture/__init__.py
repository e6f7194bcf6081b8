"""The plan as a picture: its floorplan, and the parts that pictures of weft are made of.

Reading order: svg, colours, floorplan.
"""
