"""Runs told to trackers, MLflow and Weights & Biases, out of the events that are stored anyway.

`tracker` what each of them can do, and what it is told · `story` what there is to tell of a run · `mlflow` over its
REST · `wandb` by its own package, in a process of its own, `wandb_process` · `choosing` which of them the settings
name · `telling` who is told next, from where they stopped.
"""
