"""Whose threads encode: those of `samples.stream`, several batches side by side, one a thread.

The tokenizer library's own threads share one batch. They wait for each other at the end of every batch, and for
ours, so every process that masks turns them off where it starts. It costs no result to forget it, only speed.
"""

import os

VARIABLE = "TOKENIZERS_PARALLELISM"


def turn_off_library_threads() -> None:
    """For this process, from the library's next call on, and for the processes it starts."""
    os.environ[VARIABLE] = "false"
