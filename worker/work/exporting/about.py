"""The model card of an export, and its facts for programs."""

from app.exports.card import CARD, PROVENANCE, CardStyle, model_card, provenance_document
from worker.work.exporting.task import ExportTask


def write_about(task: ExportTask, style: CardStyle) -> None:
    """Both files, into the export's folder."""
    about = (task.provenance, task.input.config, task.input.result)
    task.write_text(CARD, model_card(*about, style, task.input.scores))
    task.write_text(PROVENANCE, provenance_document(*about, task.input.scores))
