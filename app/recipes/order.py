"""The order in which an epoch goes through its samples: seed and epoch alone decide it."""

import numpy as np
import numpy.typing as npt


def epoch_order(size: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """int64[size]: places of samples, each once. `epoch` counts from 0; the same here and in a resumed run."""
    order = np.arange(size, dtype=np.int64)
    np.random.Generator(np.random.PCG64([seed, epoch])).shuffle(order)
    return order
