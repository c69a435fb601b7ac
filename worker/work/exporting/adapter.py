"""An adapter as it lies with the run, with a card that knows what was judged since."""

import shutil

from app.exports.card import CARD, PROVENANCE, adapter_style
from app.jobs.events import Phase
from worker.work.exporting.about import write_about
from worker.work.exporting.task import ExportTask
from worker.work.training.checkpoints import MANIFEST


def write(task: ExportTask) -> None:
    """Copy the files and write the card anew."""
    files = [path for path in sorted(task.adapter.rglob("*")) if path.is_file()]
    task.require_space(sum(path.stat().st_size for path in files))
    task.phase(Phase.WRITING)
    for done, path in enumerate(files):
        name = path.relative_to(task.adapter)
        task.progress(done, len(files))
        if str(name) in (CARD, PROVENANCE, MANIFEST):
            continue  # of the folder as it was written, and so of the first card
        (task.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, task.folder / name)
    write_about(task, adapter_style(task.provenance))
