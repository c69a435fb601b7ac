"""What the `masks` commands read: a model's folder found without the network, and conversations from a file."""

import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from app.cli.console import CommandFailed
from app.core.i18n import gettext as _


def resolve_model(reference: str) -> Path:
    """A local folder, else a prepared model of this studio, else the local hub cache; never the network."""
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    data = Path(os.environ.get("SFT_STUDIO_DATA") or Path.home() / ".local/share/sft-studio")
    slug = re.sub(r"[^A-Za-z0-9._-]+", "--", reference).strip("-.")
    prepared = data / "models" / slug
    if slug and (prepared / "tokenizer.json").is_file():
        return prepared
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", reference):
        cached = _cached_snapshot(reference)
        if cached is not None:
            return cached
    raise CommandFailed(
        _(
            "No model “%(reference)s”: it is not a folder, not prepared under %(folder)s, and not in the local "
            "hub cache. Give the path of a model folder."
        )
        % {"reference": reference, "folder": data / "models"}
    )


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


def read_conversations(source: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(line number, conversation) from JSON Lines, or from one JSON object spread over lines."""
    name = _("standard input") if source == "-" else source
    try:
        if source == "-":
            yield from _parse(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig"), name)
            return
        with Path(source).open(encoding="utf-8-sig") as file:
            yield from _parse(file, name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandFailed(
            _("Cannot read %(file)s: %(reason)s.") % {"file": name, "reason": reason}
        ) from error
    except UnicodeDecodeError as error:
        raise CommandFailed(
            _("%(file)s is not UTF-8: %(reason)s. Save it as UTF-8.") % {"file": name, "reason": error.reason}
        ) from error


def _parse(file: TextIO, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    found = 0
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            if found:
                raise _not_json(name, number, error) from error
            value = _whole_document(line + file.read(), name, number, error)
        if not isinstance(value, dict):
            raise CommandFailed(
                _("%(file)s, line %(line)d: expected an object with “messages”, found %(kind)s.")
                % {"file": name, "line": number, "kind": type(value).__name__}
            )
        found += 1
        yield number, value
    if not found:
        raise CommandFailed(_("%(file)s holds no conversation.") % {"file": name})


def _whole_document(text: str, name: str, number: int, first: Exception) -> Any:
    """One JSON object over several lines; where it is none, the fault of whichever reading got further."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise _not_json(name, number, error) from error
    except json.JSONDecodeError as error:
        spread = text.lstrip().startswith("{") and not text.splitlines()[0].rstrip().endswith("}")
        if spread and error.lineno > 1:
            raise _not_json(name, number + error.lineno - 1, error) from error
        raise _not_json(name, number, first) from error


def _not_json(name: str, number: int, error: Exception) -> CommandFailed:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else _("it is nested too deeply")
    return CommandFailed(
        _("%(file)s, line %(line)d: not JSON (%(reason)s).")
        % {"file": name, "line": number, "reason": reason}
    )
