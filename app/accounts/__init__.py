"""People, roles, sessions, API tokens and who did what.

`models` · `access` who asks, for every route · `permissions` who may do what, in one table · `who` ids and names as rows keep
them · `service` people, and lines of the audit trail · `audit` the trail as it is read · `passwords` hashed, set, reset ·
`changing` one's own password · `sign_in` passwords and attempts · `sessions` signed-in browsers · `tokens` of scripts ·
`activity` who was seen when · `upkeep` what a server does for all this now and then · `first_run` secrets of the first
minutes, and the command line's own account · `shown_once` a secret over a redirect · `pages` for strangers, `account_pages`,
`people_pages`, `audit_pages` · `api` REST.
"""
