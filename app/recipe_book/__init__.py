"""Recipes as people keep them: saved from a form, a run or a file, shared, changed, and what came of the runs that used them.

The rules are in `recipes.own`, below runs, which start by them.
"""
