"""PURE: suites, checks and scores of answers, without database, web or model.

`suites` prompts with named checks · `definitions` each check's model with its options · `checks` what they are called and how one
is run · what they find: `content_checks`, `conduct` with `lexicon` and `phrases`, as `findings` · `scores` five dimensions and
retention · `verdict` a suite's cases as better, worse or the same, and how sure · `run_verdict` all of a run's, with what to do
next · `text` reading English and Chinese.
"""
