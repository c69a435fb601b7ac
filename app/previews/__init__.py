"""Mask preview: one conversation as the trainer would see it, token by token. Pages that nothing else imports.

`service` asks masking · `view` what the page shows, `strip` its tokens, `compare` two masks · `subjects` what a
page is about · `answer` every page's answer · the pages: `pages`, `frozen_pages`, `suspect_pages`, `bring_pages` (another model),
`help_pages` with `pictures` and `check_pictures` · `api`, `schemas` REST.
"""
