"""The pre-flight of a run: what stands against its start, and what a person accepted of that by name.

`items` what an item is · `facts` what all of them are read from, `ground` the part of it that is this machine's and this
moment's, with `crossing` for two datasets · the list, `checklist`, from `data`, `model`, `settings`, `machine` · `gate` errors refuse,
warnings are accepted · `documents` what of it stays on the run · `schemas` what REST says of it, `shown` the form.
"""
