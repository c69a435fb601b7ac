"""A run's export for another trainer, whole, into a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from app.interop.arguments import note_what_is_otherwise
from app.interop.axolotl import TRAIN_FILE, VALIDATION_FILE, write_axolotl
from app.interop.handing import HandedOver, HandedRun, Handing, Tool
from app.interop.llamafactory import TOKENIZED, write_llamafactory
from app.interop.readme import README, readme_text
from app.interop.scripts import write_trl, write_unsloth
from app.masking import IGNORE_INDEX, MaskArrays, Split

WRITERS: Final[dict[Tool, Callable[[HandedRun, Handing], None]]] = {
    "llamafactory": write_llamafactory,
    "axolotl": write_axolotl,
    "trl": write_trl,
    "unsloth": write_unsloth,
}


def hand_over(
    tool: Tool,
    run: HandedRun,
    arrays: MaskArrays,
    folder: Path,
    *,
    leave_out: bool = False,
    as_backend: bool = False,
) -> HandedOver:
    """Write what `tool` trains the run from into `folder`, which must be empty.

    `leave_out`: without what the tool has no option for; otherwise that raises Invalid, naming the field. `as_backend`:
    the studio is going to start it.
    """
    # Not before it is needed: whoever asks what a tool is able to do loads no pyarrow.
    from app.interop.token_files import write_arrow_folder, write_parquet

    handing = Handing(tool, leave_out, as_backend)
    if run.is_curriculum:
        handing.cannot("mix_order")
    WRITERS[tool](run, handing)
    note_what_is_otherwise(run, handing)
    train, held_out = arrays.places(Split.TRAIN), arrays.places(Split.VALIDATION)
    splits = {"train": train, **({"validation": held_out} if len(held_out) else {})}
    if tool == "llamafactory":
        write_arrow_folder(folder / TOKENIZED, arrays, splits)
    else:
        names = {"train": TRAIN_FILE, "validation": VALIDATION_FILE}
        for name, places in splits.items():
            write_parquet(folder / names[name], arrays, places)
    # Nothing comes before a sample's first token to predict it.
    trained = sum(int(np.count_nonzero(arrays.sample(int(at))[1][1:] != IGNORE_INDEX)) for at in train)
    handing.files[README] = readme_text(run, handing, trained)
    for name, text in handing.files.items():
        (folder / name).write_text(text, "utf-8")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return HandedOver(files, len(train), len(held_out), trained, handing.notes)
