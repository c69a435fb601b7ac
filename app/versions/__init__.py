"""Versions: approved conversations frozen by content hash, and their exports.

`models` · `freezing` how one is made, `options` what one may say about it · `service` found and read · `frozen` its conversations ·
`changes` since the one before, `since` what became of its conversations · `redaction` one taken out of it ·
`files` its file, written and checked · `exports`, `export_api`, `export_pages` for other tools · `api`, `schemas` REST.
"""
