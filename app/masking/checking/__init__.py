"""The proof of a mask: checks of a sample, and the check over a whole version.

`checks` of a sample, each a `check`; `second_encoding` what one of them compares with, `missing` what the ninth looks for · `verify`
a whole version, told in a `report` that names `suspects` · `leaks` what is held out and trained on as well.
"""
