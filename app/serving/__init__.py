"""The processes of one installation, what must be true before they start, and what keeps it.

`web_server` · `worker_pool` the workers beside it, `worker_process` one of them · `processes` their environment · `lifeline` ends with
its parent · `preflight` before anything starts · `backup` one file of it and back · `doctor` is it well? · `stored_rows` the files
that rows name · `token_copies` what other trainers left in a cache
"""
