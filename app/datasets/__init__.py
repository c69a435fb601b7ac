"""The dataset itself: its name, its description, whether it is archived. What it holds builds on it.

`models`, `service`, `schemas` · `archives` what is put away · `operations` changes of many conversations at once, in short
pieces · `visibility` rows that no reader sees yet, or any more.
"""
