"""Runs taken elsewhere: files made of a run for other programs, each export a job with a stored row.

`kinds` what can be made, with choices · `work` what the worker's child is told and tells · `card` the model card that
goes with the files, `snippets` how they are used, `ollama` its Modelfile, `quantizers` where llama.cpp's is · `models`,
`service` rows, rules, deletion, retention · `handler` the job · `leftovers` what killed jobs left (`folder_names`) · `downloads` files and
zips that are verified while they are sent · `hub` files onto a model hub, `pushing` its rules, `push_handler` its job,
`push_api` · `listing`, `pages`, `api`, `schemas`
"""
