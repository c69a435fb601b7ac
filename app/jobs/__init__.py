"""The queue: everything a worker does is a row here. The database holds the promise, the broker only rings.

`models` states and their transitions · `service` enqueue, claim, heartbeat, finish, pause, rescue: every write fenced ·
`stopping` what people ask of a job under way · `claiming` which job is next, and where there is room for it ·
`order` moving what waits, its priority, pausing all of it · `devices` what a worker trains on, `processor` the one without a GPU ·
`workers` who is there · `events` the
kinds of events and phases, what each carries, their words · `handlers` what a domain tells the worker of its kind of job,
`work` the documents that go between them · `leftovers` which of a job's files stay · `record` what a
lost worker's job had measured ·
`bell`, `broker_folder` ringing · `stream` server-sent events · `newest` the last event of a kind · `api`, `schemas` REST.
"""
