"""A sample as plain JSON: the tokens, what they cover, and which of them are trained."""

import json

from app.masking import ChatTokenizer, MaskSettings, preview
from tests.support.masks import chat


def test_tokens_cover_the_text_and_say_who_wrote_them(smollm2: ChatTokenizer) -> None:
    (shown,) = preview(smollm2, chat("Hi", "Hello 你好", system="Be nice."), MaskSettings())
    assert json.loads(json.dumps(shown)) == shown
    assert "".join(token["text"] for token in shown["tokens"] if token["role"] == "assistant").startswith(
        "Hello "
    )
    assert {token["turn"] for token in shown["tokens"] if token["trained"]} == {2}
    assert all(token["turn"] is None for token in shown["tokens"] if token["role"] == "template")
    assert shown["trained"] + shown["skipped"] == len(shown["tokens"])
    assert [check["name"] for check in shown["checks"] if not check["passed"]] == []


def test_what_was_cut_is_shown_on_request_only(smollm2: ChatTokenizer) -> None:
    conversation, settings = chat("Hi", "word " * 40), MaskSettings(max_length=20)
    (plain,) = preview(smollm2, conversation, settings)
    (shown,) = preview(smollm2, conversation, settings, include_cut_tokens=True)
    assert "cut_tokens" not in plain
    assert plain["tokens"] == shown["tokens"]
    assert len(shown["tokens"]) == 20
    assert len(shown["cut_tokens"]) == shown["truncated"]
    assert not any(token["trained"] for token in shown["cut_tokens"])
