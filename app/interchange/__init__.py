"""Conversations in and out of files. PURE: knows neither database nor web nor tokenizers.

`reading` is the way in: `files/` -> `records/`, or `mapping/` where the layout is unknown, with duplicates `seen` and all of it added
up in a `report`. `exports/` is the way out, `sentences/` what is said on either.

Reading yields conversations and problems side by side, problems as sentences that whoever shows them translates. Nothing here decides
what becomes of a file with problems.
"""

from app.dialogue.trained import SOURCE_MASKS, SourceMask
from app.interchange.files.encodings import ENCODINGS, Encoding
from app.interchange.files.limits import ImportLimits
from app.interchange.reading import FORMATS, Format, Item, ParsedConversation, Source, read_conversations
from app.interchange.records.dataset_info import read_dataset_info
from app.interchange.report import Duplicate, ImportReport
from app.interchange.sentences.problems import LineNote, LineProblem, SourceRefused

__all__ = [
    "ENCODINGS",
    "FORMATS",
    "SOURCE_MASKS",
    "Duplicate",
    "Encoding",
    "Format",
    "ImportLimits",
    "ImportReport",
    "Item",
    "LineNote",
    "LineProblem",
    "ParsedConversation",
    "Source",
    "SourceMask",
    "SourceRefused",
    "read_conversations",
    "read_dataset_info",
]
