"""What the `masks` commands read: a model's folder found without the network, and conversations from a file."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from app.cli.text_files import read_text_file, unreadable
from app.core.console import CommandFailed
from app.core.errors import Invalid
from app.core.i18n import gettext as _
from app.core.i18n import say
from app.dialogue.limits import FILE_BYTES, MIB
from app.interchange.files.limits import ImportLimits
from app.interchange.mapping.model import DialogueMapping
from app.interchange.reading import Item, Source
from app.interchange.reading import read_conversations as read_file
from app.interchange.sentences.files import EMPTY_FILE, LOOKS_GBK, NO_RECORDS, NOT_UTF8
from app.interchange.sentences.problems import LineNote, LineProblem
from app.interchange.sentences.records import JSON_CODES

# A file may be endless, one conversation may not: memory stays within a few times `record_bytes`.
LIMITS: Final = ImportLimits(file_bytes=1 << 62, conversations=1 << 62, lines=1 << 62)
# What is no JSON, or no text.
_BROKEN: Final = JSON_CODES | {NOT_UTF8.code, LOOKS_GBK.code}
# What a whole chat template may hold; one that a person pastes into a page may be shorter.
MAX_TEMPLATE_BYTES: Final = MIB


def resolve_model(reference: str) -> Path:
    """A local folder, else a prepared model of this studio, else the local hub cache; never the network."""
    folder = Path(reference).expanduser()
    if reference and folder.is_dir():
        return folder
    if folder.is_file():
        raise CommandFailed(_file_text(folder))
    data = Path(os.environ.get("SFT_STUDIO_DATA") or Path.home() / ".local/share/sft-studio")
    slug = re.sub(r"[^A-Za-z0-9._-]+", "--", reference).strip("-.")
    prepared = data / "models" / slug
    if slug and (prepared / "tokenizer.json").is_file():
        return prepared
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", reference):
        cached = _cached_snapshot(reference)
        if cached is not None:
            return cached
    # Here only, for it brings the database's libraries, which take longer to load than all the rest.
    from app.base_models.service import BUNDLED_NAME

    if reference == BUNDLED_NAME:
        text = _(
            "“%(reference)s” comes with SFT Studio, but is not prepared under %(folder)s yet. Add it under Base "
            "models, or let “sft-studio demo” do it."
        )
    else:
        text = _(
            "No model “%(reference)s”: it is not a folder, not prepared under %(folder)s, and not in the local "
            "hub cache. Give the path of a model folder."
        )
    raise CommandFailed(text % {"reference": reference, "folder": data / "models"})


def _file_text(file: Path) -> str:
    if (file.parent / "tokenizer.json").is_file():
        text = _("%(file)s is a file of a model. Give its folder: --model %(folder)s")
    else:
        text = _(
            "%(file)s is a file, and masks need a folder with tokenizer.json and the chat template. Save the model "
            "with save_pretrained, or add it under Base models."
        )
    return text % {"file": file, "folder": file.parent}


def _cached_snapshot(reference: str) -> Path | None:
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository = cache / f"models--{reference.replace('/', '--')}"
    main = repository / "refs" / "main"
    names = [main.read_text().strip()] if main.is_file() else []
    snapshots = [repository / "snapshots" / name for name in names]
    snapshots += sorted(
        (repository / "snapshots").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return next((path for path in snapshots if (path / "tokenizer.json").is_file()), None)


def read_template(path: Path) -> str:
    """The chat template in this file. Raises CommandFailed."""
    text = read_text_file(path, MAX_TEMPLATE_BYTES)
    if not text.strip():
        raise CommandFailed(_("%(file)s holds no chat template.") % {"file": path})
    return text


def read_mapping_file(path: Path) -> DialogueMapping:
    """The mapping in this file. Raises CommandFailed."""
    from app.imports.mapping_document import MAX_BYTES, parse_mapping  # pydantic: for who has a mapping only

    text = read_text_file(path, MAX_BYTES)
    try:
        return parse_mapping(text)
    except Invalid as error:
        raise CommandFailed(f"{path}: {error.translated()}") from error


def read_conversations(file: str, source: Source) -> Iterator[Item]:
    """What an import reads in the file, one at a time: conversations, notes on the whole file, and what is refused.

    Raises CommandFailed where the file cannot be read any further: it is no file of dialogues, or its JSON is broken.
    """
    if file == "-":
        # What cannot be read twice is copied to the disk, which is not endless.
        limits = replace(LIMITS, file_bytes=FILE_BYTES)
        yield from _read(sys.stdin.buffer, _("standard input"), limits, source)
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - closed below; what the reader of this does is not its fault
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from error
    with stream:
        yield from _read(stream, file, LIMITS, source)


def _read(stream: BinaryIO, name: str, limits: ImportLimits, source: Source) -> Iterator[Item]:
    items = read_file(stream, filename=name, limits=limits, source=source)
    while (item := _next(items, name)) is not None:
        if isinstance(item, LineProblem) and (not item.line or item.code in _BROKEN):
            if item.code in (EMPTY_FILE.code, NO_RECORDS.code):
                raise CommandFailed(_("%(file)s holds no conversation.") % {"file": name})
            raise CommandFailed(f"{name}: {say(item.sentence)}")
        yield item


def _next(items: Iterator[Item], name: str) -> Item | None:
    try:
        return next(items, None)
    except OSError as error:
        raise unreadable(name, error) from error


def named_by_line(remark: LineProblem | LineNote) -> str:
    """The sentence in the reader's language, with its line and the file of an archive that holds several."""
    sentence = remark.said(_)
    return f"{remark.member}: {sentence}" if remark.member else sentence
