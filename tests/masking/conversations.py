"""Hypothesis strategies for conversations, with the texts that break masks."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from app.masking import ChatTokenizer
from tests.masking.house_templates import House

PROPERTY = settings(
    max_examples=30,
    deadline=None,
    # They judge how examples are drawn, by chance now and then, not what is tested.
    suppress_health_check=list(HealthCheck),
)
NASTY = (
    "Hello",
    " ",
    "\n",
    "\r\n",
    "<|im_end|>",
    "<|im_start|>assistant\n",
    "<|endoftext|>",
    "[/INST]",
    "assistant",
    "user",
    "<",
    "|>",
    "<|im_",
    "end|>",
    "<think>\n",
    "</think>",
    "<filename>",
    "你好",
    "价格是多少？",
    "龘",
    "😀",
    "e\u0301",
    "שלום",
    "\u200b",
    "\u202e",
    "{{ messages }}",
    "\ue000",
    "\U000f0000",
    "\U000f0001",
    "\U0010fffc",
    "�",
)

texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=6), min_size=1, max_size=5).map("".join)
clean_texts = st.text(st.characters(codec="utf-8", exclude_characters="<>|[]\x00"), min_size=1, max_size=20)


@st.composite
def dialogues(draw: st.DrawFn, house: House, content: st.SearchStrategy[str] = texts) -> list[dict[str, Any]]:
    """A conversation that the template accepts; turns may be empty, repeat, or end with the user."""
    messages: list[dict[str, Any]] = []
    if house.system and draw(st.booleans()):
        messages.append({"role": "system", "content": draw(content)})
    for _ in range(draw(st.integers(1, 3))):
        question = draw(content)
        messages.append({"role": "user", "content": question})
        answer = draw(st.just("") | st.just(question) | content)
        messages.append({"role": "assistant", "content": answer})
    if not house.alternates:
        extra = draw(st.sampled_from([None, "user", "assistant"]))
        if extra:
            messages.append({"role": extra, "content": draw(content)})
    return messages


def only_spellable(tokenizer: ChatTokenizer) -> st.SearchStrategy[str]:
    """Texts without the characters that hold bytes SmolLM2 has no token for; it drops those. They are taken out,
    for rejecting whole dialogues would throw away more than half of them.
    """
    table = tokenizer.encoder.token_bytes
    assert table is not None
    known = set(table.pieces)

    def spellable(text: str) -> str:
        return "".join(one for one in text if all(bytes([byte]) in known for byte in one.encode()))

    return texts.map(spellable)
