"""What a program may do that its captured graph does not show: refused by name.

Reading order: module_tree (before the trace), watched (while it runs), traced (what the
trace says), mutations (what it wrote to), python_state (random numbers of Python), placeless
(numbers that the meta device would lose).
"""
