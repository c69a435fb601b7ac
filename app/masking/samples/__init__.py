"""Conversations to samples: what is trained, what is cut, and the arrays that training reads."""
