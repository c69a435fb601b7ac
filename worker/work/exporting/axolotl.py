"""The run as a folder that Axolotl trains."""

from worker.work.exporting.task import ExportTask
from worker.work.exporting.trainers import hand_to


def write(task: ExportTask) -> None:
    """Tokens, options, a word on how to start."""
    hand_to("axolotl", task)
