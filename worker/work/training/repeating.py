"""The same numbers once more on a GPU: kernels that add up in a fixed order, wherever torch has them.

By itself torch takes the quicker kernels, whose threads add to one number in whatever order they get there (attention's way back
above all), so that no two runs end alike. What that costs was not measured.
"""

import os
from typing import Final

import torch

from app.jobs.events import Emit
from app.sentences import N_
from worker.work.protocol import log

# cuBLAS repeats itself where its working memory is fixed: eight pieces of 4 MB, the larger of the two sizes that it offers for that.
_WORKSPACE: Final = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
_CANNOT: Final = N_(
    "An operation of this model has no form on a GPU that repeats to the last bit (%(reason)s): the run goes on without, and made "
    "again its losses may differ by rounding."
)


def repeat_exactly(device: torch.device) -> None:
    """From here on, in this process. To be called before anything is computed on a GPU; a CPU repeats by itself."""
    if device.type != "cuda":
        return
    name, value = _WORKSPACE
    os.environ.setdefault(name, value)
    torch.use_deterministic_algorithms(True)
    # It would write over all memory that is taken, for whoever reads what was never written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def gives_up(error: Exception, emit: Emit) -> bool:
    """Whether the error says that something has no such form; then the rest of the run does without, and the log says so."""
    if not torch.are_deterministic_algorithms_enabled() or "determinis" not in str(error):
        return False
    torch.use_deterministic_algorithms(False)
    log(emit, "warning", _CANNOT, reason=str(error).strip().splitlines()[0][:200])
    return True
