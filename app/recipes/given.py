"""A config file as a form sends it: chosen, or pasted."""

from typing import Annotated, TypedDict

from fastapi import Depends, File, Form, UploadFile

from app.core.errors import Invalid
from app.recipes.foreign import LARGEST_BYTES, TOO_LARGE, ForeignConfig, read_sound
from app.sentences import N_


class ShownConfig(TypedDict):
    """What the form reads: what was pasted, and what is wrong with it."""

    config: str
    error: str | None


def blank() -> ShownConfig:
    """The form before anything was given."""
    return {"config": "", "error": None}


class SentConfig:
    """The two fields of the form, of which the file counts where both are there."""

    def __init__(
        self,
        file: Annotated[UploadFile | None, File()] = None,
        config: Annotated[str, Form()] = "",
    ) -> None:
        self._file = file if file is not None and file.filename else None
        self._pasted = config

    def read(self) -> ForeignConfig:
        """What it says, as far as it has a meaning here. Raises Invalid where nothing was given, or no config."""
        return read_sound(self._text())

    def shown(self, error: Invalid) -> ShownConfig:
        """The form again, with what was pasted."""
        return {"config": self._pasted, "error": error.translated()}

    def _text(self) -> str:
        if self._file is not None:
            # One byte more than is read of it tells a file that is too large, which may end within a character.
            data = self._file.file.read(LARGEST_BYTES + 1)
            if len(data) > LARGEST_BYTES:
                raise Invalid(TOO_LARGE, field="config")
            try:
                return data.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise Invalid(N_("This file is no text in UTF-8."), field="config") from error
        if not self._pasted.strip():
            raise Invalid(N_("Choose a file first, or paste something."), field="config")
        return self._pasted


GivenConfig = Annotated[SentConfig, Depends()]
