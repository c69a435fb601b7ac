"""The stored dialogue: messages, turn flags, labels, revisions, review.

- `models` the tables · `service` the rules of a change (the version somebody saw, a revision for each) · `api`, `list_api`,
  `pages` the doors, with `turn_pages`, `review_pages`, `revision_pages` and what they share, `view` · `schemas`,
  `dialogue_schemas` what REST reads and writes
- one dialogue: `content` between row and dialogue · `turns`, `messages` pure functions · `labels` their words ·
  `tool_editing` tools as typed ·
  `revisions` undo · `comparing` what a change changed · `merging`, `conflicts` two people at one conversation
- `comments`, `comment_pages`, `comment_api` what people say about one · `assigning` whose work it is
- many: `drafts` how they come in · `duplicates` what counts as the same, `correcting` what
  answers the same questions otherwise · `conditions`, `filters`, `filter_params` what narrows a list, `listing`, `facets`, `counts` ·
  `snippets` where a search hit · `review`, `bulk_review` approving one and many
"""
