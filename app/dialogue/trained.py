"""Which turns a conversation trains, and what other tools mean by their settings, as flags of ours.

A flag says something only where it differs from the default strategy, which trains every assistant turn;
so flags are written in this shortest form, and two conversations train the same when it is equal.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from app.dialogue.conversation import Conversation, Message
from app.dialogue.roles import Role

# What the source trained: what its flags say; every assistant turn whatever they say; only the last one
# (LLaMA-Factory's mask_history); the text of every message (LLaMA-Factory's train_on_prompt).
SourceMask = Literal["file", "assistant", "last_assistant", "everything"]
SOURCE_MASKS: tuple[SourceMask, ...] = get_args(SourceMask)


def is_trained(message: Message) -> bool:
    """Under the default strategy: the message's own flag, else whether the assistant says it."""
    flag = message.get("train")
    return bool(flag) if flag is not None else message["role"] == Role.ASSISTANT


def trained_places(conversation: Conversation) -> list[int]:
    """Places of the trained messages, from 0."""
    return [place for place, message in enumerate(conversation["messages"]) if is_trained(message)]


def with_trained(conversation: Conversation, places: set[int]) -> Conversation:
    """The conversation with just these messages trained, in the shortest form."""
    messages: list[Message] = []
    for place, message in enumerate(conversation["messages"]):
        plain = cast(Message, {key: value for key, value in message.items() if key != "train"})
        if (place in places) != (message["role"] == Role.ASSISTANT):
            plain["train"] = place in places
        messages.append(plain)
    return cast(Conversation, {**conversation, "messages": messages})


def with_shortest_flags(conversation: Conversation) -> Conversation:
    """The conversation without the flags that say what the default strategy does anyway."""
    return with_trained(conversation, set(trained_places(conversation)))


def apply_source_mask(conversation: Conversation, mask: SourceMask) -> Conversation:
    """The conversation with the flags that mean `mask`; "file" leaves it as it is."""
    if mask == "file":
        return conversation
    return with_trained(conversation, set(_places(conversation, mask)))


def masks_of(conversation: Conversation) -> set[SourceMask]:
    """The meanings ("file" aside) that its flags are equal to; several where it has a single answer."""
    trained = trained_places(conversation)
    return {mask for mask in SOURCE_MASKS[1:] if trained == _places(conversation, mask)}


def _places(conversation: Conversation, mask: SourceMask) -> list[int]:
    roles = [message["role"] for message in conversation["messages"]]
    if mask == "everything":
        return list(range(len(roles)))
    answers = [place for place, role in enumerate(roles) if role == Role.ASSISTANT]
    return answers[-1:] if mask == "last_assistant" else answers
