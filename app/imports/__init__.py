"""Imports: a file brings in all of its conversations or none.

- `models` the tables · `service` from a read file to stored conversations · `incoming` the file, read and spooled before that ·
  `corrections` records that ask the same as a conversation that is there and answer otherwise
- large files: `sending` decides, `staging` keeps them, `background` is the job from order to report, `handler` and `work` what its two
  processes do and say to each other, `waiting` an answer that waits for it
- `remarks` what is kept of a line that did not come in, or not as it stood there
- doors: `api`, `pages`, `report_pages`, `schemas`, `reports` what a page shows of an import · `options` how a
  file comes in · `sources` what is told of the tool a file
  comes from
- files of an unknown layout: `mapping_document` a mapping as it is stored and sent · `mappings` those kept under a name ·
  `staging` uploads that wait for one · `mapping_form`, `mapping_pages`, `mapping_api` its doors
"""
