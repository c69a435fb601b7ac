"""People, roles, sessions, API tokens and who did what.

`models` · `access` who asks, for every route · `permissions` who may do what, in one table · `who` ids and names as rows keep
them · `service` people, tokens, the audit trail · `sign_in` passwords and attempts · `first_run` secrets of the first minutes ·
`pages`, `people_pages` · `api` REST.
"""
