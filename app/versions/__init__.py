"""Versions: approved conversations frozen by content hash, and their exports.

`models` · `freezing` how one is made · `service` found and read · `frozen` one conversation of it ·
`changes` since the one before · `redaction` one taken out of it · `files` its file, written and checked ·
`exports`, `export_api`, `export_pages` for other tools · `api`, `schemas` REST.
"""
