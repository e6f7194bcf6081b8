"""Measurements of weft itself: which models compile, in how much time and memory."""
