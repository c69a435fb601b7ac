"""The registry of base models: bundled, hub id or local folder; tokenizers without torch.

`facts` what a prepared model is, `work` its job's documents, `handler` its job ·
`removal` of what nothing was made with · `models`, `service`, `api`, `schemas`, `pages`.
"""
