"""Every sentence about a file, a record, a source or an export: one code and one template each.

`problems` the catalogue and how one is made · `files`, `records`, `mapping`, `sources`, `exports` by what they are about.
"""
