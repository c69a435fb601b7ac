"""Training: from checked arrays to a saved adapter.

`sft` is the story: begin here. `data` the arrays as batches · `model` base and adapter · `trainer`, `callbacks`, `checkpoints`,
`identity` the loop and what survives it · `devices`. What is computed by ours, each tested against the plain way: `forward`,
`attention`, `lora`, `norm`, `loss`, `lanes`.
"""
