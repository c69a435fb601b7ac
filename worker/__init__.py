"""Everything that needs torch, and the Celery worker that supervises it.

`parent/` owns queue and database, `work/` does what jobs ask for. Both judge processes that were killed, by `exits` and `memory_kills`,
that got no memory, by `want_of_memory`, or that stand still, by their `effort`.
"""

import os

# All must be set before torch is loaded. Threads that wait then sleep instead of spinning: beside other work on the
# same two cores, matrix products were measured six to nine times faster so.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# torch and oneDNN each keep a compiled matrix product for the last 1,024 shapes, up to 0.8 MB apiece. Conversations differ in
# length, so without bound a training process of 2.5 GB was measured to take 4.4 after 36 steps. In so many there is room for the
# shapes that recur (`worker/work/training/shapes.py`): 0.1 GB more than for those of one batch alone, and a quarter of the compiling.
SHAPES_PER_CORE, SHAPES = 128, 512
_shapes = str(min(SHAPES, max(64, SHAPES_PER_CORE * (os.cpu_count() or 1))))
for _variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_variable, _shapes)
