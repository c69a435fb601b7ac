"""Hyperparameters: named recipes, what each field means, and limits that catch mistakes.

What a run is trained with: `config` (the one class), `method` (LoRA, QLoRA, all weights), `backend` (which program
trains), `processes` (among how many), `liger` (on whose kernels), `optimizers` (which need a GPU),
`watching` (its fields on telling, measuring, saving),
`setting` (how a field is declared), `wrong_fields` (what is said of mistakes).
As people meet it: `recipes` (the built-in ones, and the book of all that somebody may name), `own` (saved ones: `models`, with
`settings` as a row keeps them, and as a file `own_file`), `fields` (forms and tables), `layers` (names of a model's layers).
While it trains: `sampling` (fields on answers meanwhile), `mixing` (those on a second dataset), `continuing` (what may change on
the way). Several values of a field: `axes`. `foreign`: configs of other tools, and exported recipes, read by
`strict_yaml`; `given`: as a form sends them.
Before a start: `estimates` (how long a run will be), `memory` (what it takes at its peak), `disk` (what it writes), `advice`
(what to set for these data).
"""
