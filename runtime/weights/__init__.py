"""Weights of a plan from safetensors files: names, shapes, and what is missing.

Reading order: load, safetensors_files, safetensors_header.
"""
