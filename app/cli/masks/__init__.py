"""The commands about masks that need no server.

`command` both of them · `options`, `source` what they are given, `reading` what they read · `view` masks for people.
"""
