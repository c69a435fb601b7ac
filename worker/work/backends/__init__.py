"""Training by another tool: started on the checked arrays, watched from inside, its adapter kept as one of ours.

`run` is the story: begin here. `folder` what the tool is given · `tool_process` the tool as a process · `observer/` what is
loaded into it · `comparison` its tokens against the arrays · `events` what it tells, as the page reads it · `checkpoints` its
own, known to be whole · `explaining` a failure in a sentence · `keeping` its adapter, measured and written down.
"""
