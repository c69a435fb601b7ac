"""Taking a conversation, or all of a dataset, out of everything that holds it, and naming what stays.

`holders` who holds it · `service` the erasure of one · `whole_datasets` of all of a dataset · `chats` which are read by their owner
only and end by themselves · `api`, `pages`, `schemas`
"""
