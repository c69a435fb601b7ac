"""People, roles, sessions, API tokens and who did what."""
