"""The dataset as people work on it: its list and tabs, its settings, its removal with all it holds.

`lines` the list of datasets · `header` what every tab shows, `conversation_list` the list in the first · `pages`,
`version_pages`, `people_pages`, `settings_pages` the tabs, `freeze_form` what is typed, `selections` what was chosen, in
words · `api`, `schemas` REST · `removal` deleting · `sweeping` what a process that died has left.
"""
