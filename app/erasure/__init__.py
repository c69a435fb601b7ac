"""Taking a conversation out of everything that holds it: its versions, their mask checks, chats; and naming what stays.

`holders` who holds it · `service` the erasure · `chats` which are read by their owner only and end by themselves ·
`api`, `pages`, `schemas`
"""
