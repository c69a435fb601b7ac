"""What a run's child and what clears up after it call the same folders. Loads no database."""

from typing import Final

# Of another tool that trained: its data, its own checkpoints, its adapter before it became ours.
WORKPLACE: Final = "backend"
# Beside the adapter, and kept with it: TensorBoard's event files.
TENSORBOARD: Final = "tensorboard"
