"""What processes started by the command line share."""

import os
from pathlib import Path
from typing import Final

from app.core.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with the data folder and the code found from any current folder."""
    return {**os.environ, "SFT_STUDIO_DATA": str(settings.data_dir), "PYTHONPATH": str(ROOT)}
