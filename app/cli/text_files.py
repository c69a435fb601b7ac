"""Small text files that a command is given: chat templates, mappings."""

from pathlib import Path

from app.core.console import CommandFailed
from app.core.i18n import gettext as _
from app.dialogue.limits import spoken_size
from app.interchange.files.bytes_in import UTF8_BOM


def read_text_file(path: Path, most: int) -> str:
    """The text of a file of at most `most` bytes, without a byte order mark. Raises CommandFailed."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise unreadable(str(path), error) from error
    # Before it is decoded: what was read may end within a character.
    if len(data) > most:
        raise CommandFailed(
            _("%(file)s is too long. It may have %(limit)s.") % {"file": path, "limit": spoken_size(most)}
        )
    try:
        return data.removeprefix(UTF8_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandFailed(
            _("%(file)s is not UTF-8: %(reason)s. Save it as UTF-8.") % {"file": path, "reason": error.reason}
        ) from error


def unreadable(name: str, error: Exception) -> CommandFailed:
    """What is said of a file that the system does not let us read."""
    reason = getattr(error, "strerror", None) or str(error)
    return CommandFailed(_("Cannot read %(file)s: %(reason)s.") % {"file": name, "reason": reason})
