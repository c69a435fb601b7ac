"""What people and programs are told when a run or an evaluation has ended: on the page, and by webhooks.

`models` · `messages` what is told · `announcing` once for each end · `inbox` what people have not read yet ·
`webhooks` who is told outside · `destinations` which hosts may be called · `signing` · `formats` what chat programs take ·
`sending` deliveries, tried again · `document` what is sent, for OpenAPI · `api`, `schemas` REST · `pages`, `webhook_pages` pages.
"""
