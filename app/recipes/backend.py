"""The part of a training config that says which program trains."""

from typing import Final, Literal

from pydantic import BaseModel

from app.recipes.setting import Section, setting
from app.sentences import N_

Backend = Literal["studio", "trl", "llamafactory", "axolotl", "unsloth"]
STUDIO: Final = "studio"


class BackendFields(BaseModel):
    """The studio's own trainer, or another tool in an environment of its own, on the same checked tokens."""

    backend: Backend = setting(
        STUDIO,
        N_("Trained by"),
        N_(
            "studio trains itself; trl, llamafactory, axolotl and unsloth are started where their environment is found, and "
            "their adapter is measured and kept as any other."
        ),
        Section.METHOD,
    )
