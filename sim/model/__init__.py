"""What both simulator levels share: the wiring of a plan, its links, constants, and the report.

Reading order: wiring, links, constants, report, rows.
"""
