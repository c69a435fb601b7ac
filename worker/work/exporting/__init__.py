"""Child side of an export: a module for each kind (app/exports/kinds.py), which fills the export's folder.

`work` the job · `push` onto a model hub · `task` what a writer gets · `about` the card · `merging` adapter into base ·
`gguf_layout`, `gguf_vocabulary` what llama.cpp knows of a model · `quantizing` its quantizer, with `quantizing_library` where
that is a library, and `rounding` what it cost · `trainers` runs for other trainers.
Kinds: `adapter`, `merged`, `gguf`, `llamafactory`, `axolotl`, `trl`, `unsloth`
"""
