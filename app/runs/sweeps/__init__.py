"""Sweeps: a few values of some hyperparameters tried as a group of runs.

`models` · `planning` what the runs would be and take together · `service` what may start, exactly once, and is stopped · `table` the
runs side by side, `standing` their pre-flight · `api`, `schemas` REST · `pages`. What people type is read by `app/recipes/axes`.
"""
