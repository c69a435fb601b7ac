"""A client of the REST API: requests, waiting for jobs, the steps from a dataset to a finished run.

`rest` the requests, those of `base_models`, `exports`, `recipes`, `sweeps` and `notices` apart · `speaking` the connection they go over ·
`waiting` for a job's end · `pipeline` the steps.
"""
