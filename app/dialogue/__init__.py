"""PURE: what a conversation is, for every door and every package above.

`conversation` the typed dictionaries: begin here, `documents` as pydantic names them · `reading` the one reader of what
comes from outside, with `refusals` (a code
and a sentence for each fault), `limits`, `json_values`, `tools`, `roles`, `labels`, `language` · `canonical` the one form ·
`hashes` what is the same dialogue, with flags and without · `trained` which turns it trains · `differences` two texts
word by word.
"""
