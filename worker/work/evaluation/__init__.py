"""Answers of the base and the tuned model, and their held-out loss.

`judge` the job · `loading` both models as one · `prompts` as token ids, `generation` the answers, `pace` how fast they come here ·
`held_out` the loss · `chat` the warm process that answers in the playground.
"""
