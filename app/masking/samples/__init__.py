"""Conversations to samples: what is trained, what is cut, and the arrays that training reads.

`stream` leads: `conversation` read, then `rendered`; `windows` how many samples, `truncation` how long, `selection` which tokens; the
result is a `sample`, and of many `arrays`. `mixing` joins two of these.
"""
