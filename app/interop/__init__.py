"""A run as files that another trainer runs as they stand: the same tokens in the same order with the same numbers.

What is trained was decided and checked before, so it travels as the checked arrays themselves, in the form that each
tool takes data which is tokenized already. No tool's own reading of a template comes between.

`handing` what a run is to another tool, and what is said of it · `token_files` the arrays as Parquet and as a folder of
Arrow · `arguments` the config in transformers' words, which three of the tools share · `llamafactory`, `axolotl`,
`scripts` (TRL and Unsloth) each tool's own files · `readme` what stands beside them · `writing` all of it
together. `launching` files of accelerate that TRL is started with ·
`environments` where the tools are installed here · `ability` what one of them cannot train as a backend.
"""
