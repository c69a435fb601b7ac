"""A message as its receiver takes it: all of it as JSON, or a line of text in the envelope of a chat program."""

import json
from collections.abc import Callable
from typing import Final

from app.notices.messages import Message
from app.notices.models import Format
from app.sentences import N_

# Two are called so in every language.
FORMAT_WORDS: Final[dict[Format, str]] = {
    Format.JSON: "JSON",
    Format.SLACK: "Slack",
    Format.FEISHU: N_("Feishu"),
    Format.DINGTALK: N_("DingTalk"),
    Format.WECOM: N_("WeCom"),
}
_ENVELOPES: Final[dict[Format, Callable[[str], object]]] = {
    Format.SLACK: lambda text: {"text": text},
    Format.FEISHU: lambda text: {"msg_type": "text", "content": {"text": text}},
    Format.DINGTALK: lambda text: {"msgtype": "text", "text": {"content": text}},
    Format.WECOM: lambda text: {"msgtype": "text", "text": {"content": text}},
}


def body_of(message: Message, wanted: Format) -> bytes:
    """What is sent, in UTF-8."""
    if wanted is Format.JSON:
        return json.dumps(message.to_json(), ensure_ascii=False).encode()
    line = " ".join(part for part in (message.text, message.data.error, message.data.url) if part)
    return json.dumps(envelope(wanted, line), ensure_ascii=False).encode()


def envelope(wanted: Format, line: str) -> object:
    """A line of text as a chat program takes it. Raises KeyError for the format `json`, which has none."""
    return _ENVELOPES[wanted](line)
