"""Recipes: YAML files that name a model, its data, how it is compiled and how it is trained.

Reading order: recipe (the schema) with its optimizer, update_rule, read (files and
overrides), build (a plan from a recipe); keys (the schema as rows) with keys_page and commented.
"""
