"""Suites, checks, scores and reports: is the tuned model better than its base?

`models` · `service` start one, judge its answers · `handler` its job, `work` what it is told · `parts` how much of a
suite · `summing` from judged answers to the verdict · `documents` what is stored and sent · the report: `report`, `earlier` what a
run began from · `judging` evaluations as runs see them · `api`, `schemas` REST · `pages`.
"""
