"""What processes started by the command line share."""

import os
from typing import Final

from app.core.settings import Settings
from app.files import python_path

# A log file that has grown beyond this begins anew.
LOG_BYTES: Final = 5 * 1024 * 1024


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with the data folder and the code found from any current folder."""
    return {**os.environ, "SFT_STUDIO_DATA": str(settings.data_dir), "PYTHONPATH": python_path()}
