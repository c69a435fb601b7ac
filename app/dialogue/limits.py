"""How large a conversation and its parts may be: one number each, for files, REST, pages and commands alike."""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024

MESSAGES: Final = 2_000
# Of a message's text, and of its reasoning.
TEXT_CHARACTERS: Final = 200_000
# Of a message's name, of a call's id and type.
NAME_CHARACTERS: Final = 200
TAGS: Final = 50
TOOLS: Final = 128
TOOL_NAME_CHARACTERS: Final = 128
TOOLS_BYTES: Final = 256 * 1024
# The messages and tools as JSON; also the longest record of a file.
CONVERSATION_BYTES: Final = 4 * MIB
# Objects and lists in each other, the conversation itself being the first.
DEPTH: Final = 64
# Python itself gives up at 4,300.
NUMBER_DIGITS: Final = 400
# Of an uploaded file, unless SFT_STUDIO_MAX_UPLOAD_BYTES says otherwise.
FILE_BYTES: Final = 1024 * MIB
# Of the body of any other request: a conversation, each character written as an escape.
BODY_BYTES: Final = 3 * CONVERSATION_BYTES


def spoken_size(size_bytes: int) -> str:
    """A size as people write it: 1 GB, 4 MB, 300 KB, 12 bytes."""
    for unit, name in ((1024 * MIB, "GB"), (MIB, "MB"), (1024, "KB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.4g} {name}"
    return f"{size_bytes} bytes"
