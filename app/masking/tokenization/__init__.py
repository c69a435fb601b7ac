"""A model folder's tokenizer: text to ids with the characters each id covers, and back.

`tokenizer` leads: a vocabulary with its chat template · `model_folder` what a folder holds · `encoder` text to ids,
`encoded` the result, `token_bytes` what ids spell, `decoding` and back · `control_patterns`, `twin` what people write
is never a control token · `call_arguments` arguments of tool calls as a template wants them.
"""
