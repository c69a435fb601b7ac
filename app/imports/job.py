"""What the two sides of an import's job say to each other."""

from typing import Final

from pydantic import BaseModel, ConfigDict

from app.interchange import Format, Source

# In the folder of an attempt: what was read, one conversation a line.
CONVERSATIONS: Final = "conversations.jsonl"


class ReadOrder(BaseModel):
    """The file to read, and how."""

    model_config = ConfigDict(frozen=True)

    file: str
    filename: str
    format: Format
    skip_bad: bool
    most_bytes: int
    source: Source
