"""From conversations to files, our own or another tool's.

`exporting` leads: `tool_records` a conversation in a tool's words, `tool_configs` the files beside the data, `record_order` for readers
that take their columns from the first block · `writing` our own formats, each line read back.
"""
