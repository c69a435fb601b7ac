"""Gates: may this run go on? Limits on the numbers that a run and its evaluations have, judged for scripts and people.

`metrics` every number there is, by name · `limits` what is asked, as it is typed · `service` the judgement · `reports` it as
JUnit and as Markdown (no database: the command line writes them) · `sweeps` the judgement of all runs of a sweep, `sweep_reports` it as
files · `api`, `sweep_api`, `schemas` REST · `form` what both pages ask, `pages`, `sweep_pages`.
"""
