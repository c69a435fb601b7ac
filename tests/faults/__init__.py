"""Faults on purpose: processes killed and frozen, folders and messages lost, checkpoints torn; and what came of the jobs.

`studio` a small installation with quick runs · `scenarios` one function a fault · `hanging` of what stands still, `short_watch` and
`hanging_child` the worker and the child of that · `outages` those of disk, database and broker · `web` of the web server ·
`together` of several workers · `afterwards` of what follows a run · `places` where they are done ·
`__main__` all of them many times, with figures (`make faults`). A few of them run once in `make test`.
"""
