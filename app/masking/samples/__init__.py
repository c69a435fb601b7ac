"""Conversations to samples: what is trained, what is cut, and the arrays that training reads.

`conversation` checks every message · `rendered` the template's text and its ids · `selection` what is trained · `windows` one
sample or several · `truncation` what is cut · `sample` what comes out · `stream` all of it for many · `arrays` the file that
training reads · `mixing` two of them as one.
"""
