"""Stages, Placement --emit--> Plan."""
