"""Masks in force in an eager torch program."""
