"""Training: from checked arrays to a saved adapter.

`sft` is the story: begin here; `beginning` where a run begins, `refusals` of what it cannot train. `sampling` answers on the way ·
`data` the arrays as batches, `mixing` with those of a second dataset · `model` base and adapter · `arguments`, `trainer`, `callbacks`,
`checkpoints`, `identity` the loop and what survives it · `process_group`, `other_process` several that take each step
together, `meetings` whether one of them hangs, `process_ends` what is said of it · `devices`, `nvml`, `surroundings` ·
`weights` what is trained, an adapter or all. Before it: `modules` an adapter may go on,
`adapter` to begin with, `trial` of the pass, `planning` of the steps; after it: `portable`, the adapter for
elsewhere. What is computed by ours, each tested against the plain way: `forward`, `prefixes` that conversations
share, `attention`, `lora`, `joined` layers of one input, `norm`, `gated`, `rotary`, `loss`, `lanes`; `compiled`,
`loops`: in bf16 on a CPU by loops compiled for it, `shapes`: by products of shapes that recur; `again`: what is
computed twice rather than kept. By others, on a GPU: `liger`; `quicker`: which of all these is, there; `repeating`:
in a fixed order; `pieces`: which were taken, kept for whoever repeats it. README.md has where a step's time goes.
"""
