"""The queue as people see and order it: what runs, what waits and until when, who works on it.

`board` all of it together · `durations` how long a job takes · `forecast` PURE: when each will begin · `subjects` what a job is about ·
`waiting` what the pages of runs say of it · `api`, `schemas` REST · `pages` the page.
"""
