"""The worker's child processes: do the work with torch, know no database.

`child` the process, `protocol` what it says and hears,
`device_errors` what a GPU says when it fails · base models: `preparing` picks `models` or `tokenizers`; `hub` fetches,
`model_folders` and `model_bounds` refuse what is hostile, `describing` finds out what it is, `new_tokens`, `disk_space` · `mask_check` ·
`importing` · `train` picks `training/` or, for another tool, `backends/`, and has
`tensorboard` and `recording` beside it · `evaluation/` · `exporting/` · `libraries` that start late or sooner
"""

from worker.work import libraries

libraries.import_late(*libraries.LATE)
libraries.read_models_once()
