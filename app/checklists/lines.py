"""An item as REST, commands and model cards tell it. Loads no database."""

from typing import Literal

from pydantic import BaseModel


class ChecklistLine(BaseModel):
    """Words in the reader's language; `code`, `part` and `state` are for programs. `link` is a path on the server."""

    code: str
    part: Literal["data", "config", "monitoring", "verification"]
    part_title: str
    title: str
    state: Literal["pass", "warn", "fail", "open"]
    word: str
    evidence: str
    link: str
