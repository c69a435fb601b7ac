"""The queue: everything a worker does is a row here. The database holds the promise, the broker only rings."""
