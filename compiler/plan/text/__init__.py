"""Plans as text for people: `weft show`, `weft diff`, summaries, and the page of the format.

Reading order: numbers (how figures are printed), summary, show, diff, diff_text, format_page.
"""
