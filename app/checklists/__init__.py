"""The checklist of a fine-tune, filled in from what is stored: data, config, monitoring, verification.

`items` what an item is · `facts` what they are read from · one module a section: `data`, `settings`, `monitoring`,
`verification` · `service` all of them in order · `lines` the same for model cards, commands and REST (`api`) · `pages`.
"""
