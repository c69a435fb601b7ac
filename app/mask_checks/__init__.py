"""The proof over a whole version: its loss masks made, checked token by token and stored.

`models` · `service` asked for once, confirmed by a person or a token · `handler` its job, `work` what it is told ·
`report` the stored document ·
`check_texts` the checks in words · `suspects` what deserves a look · `use` the port through which runs tell of themselves ·
`pages`, `api`, `schemas` the doors.
"""
