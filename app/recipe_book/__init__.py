"""Recipes as people keep them: saved from a form, a run or a file, shared, changed, and what came of the runs that used them.

`listing` all that somebody may see, with `use` what came of each · `form` as it is typed, `sources` what it begins with, `merging` two
people's changes · `api`,
`schemas` REST · `pages`. The rules are in `recipes.own`, below runs, which start by them.
"""
