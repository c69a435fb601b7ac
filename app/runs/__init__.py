"""Training runs: what was asked for, who confirmed it, what came of it.

`models` · `service` what may start, exactly once (`once` by its key) · `handler` its job and
`work` what it is told · `result` the stored outcome, `artifacts` the published files · a new one:
`new_run` its form, `new_run_view` what that shows, `form_checks`, `new_run_pages`, `form_check_pages`, `config_pages` (another
tool's config), `planning` what it would be and take (`plan_api`, `plan_schemas` REST), `device` what this
machine has, `placing` what a run may get of it and of the workers',
`backends` other trainers on it, `fitting` to data and base model, `mixing` with a second dataset, `changes`
from its recipe, `again` one made once more, `alike` one like another with changes, `pace`, `offers` to choose from,
`preflight/` what stands against a start · one under way:
`pages`, `stopping` (pausing and going on too),
`curves`, `losses`, `diagnosis`, `samples`, `story`, `logs` · several: `comparing`, `compare_pages`, `sweeps` · one that failed:
`advice` by failure code · what stays: `leftovers`, `folder_names` which the child has too, `checkpoints` (`checkpoint_files` on the
disk, `checkpoint_api`, `checkpoint_schemas`, `checkpoint_pages`), `onward` a run that goes on from one, `onward_pages` that and
one made again, `further` one with an adapter, `as_base` (`as_base_pages`) one whose whole model others begin from, `beginning` and
`beginning_words` what a run begins from, `manifest` with `environment`, `provenance`, `lineage` ·
`figures` by the names that trackers have for them, `tracking`
which trackers are told of a run, `tracking_schemas`, `tracking_pages` ·
ports to what lies above and below:
`judging` (evaluations), `elsewhere` (exports), `waiting` (queue), `check_use` (mask checks) ·
`api`, `schemas` REST.
"""
