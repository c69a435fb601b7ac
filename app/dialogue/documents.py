"""The dialogue's typed dictionaries as pydantic's models name them: it reads those of the standard library from Python 3.12 on
only, and takes them for plain objects until then. What is in them, `reading` has checked."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.dialogue.conversation import Message, ToolDefinition
else:
    Message = ToolDefinition = dict[str, Any]

__all__ = ["Message", "ToolDefinition"]
