"""Sentences about conversations that a tool's format cannot hold, and about what to do then."""

from __future__ import annotations

from app.interchange.sentences.problems import Trouble
from app.sentences import N_

NOT_CARRIED = Trouble(
    "not_carried",
    N_(
        "Conversation %(conversation)s cannot be written for %(format)s without losing something, such as "
        "a name, thinking, a tool call or the order of its turns. Leave it out, or choose another format."
    ),
)
TURNS_NOT_IN_ORDER = Trouble(
    "turns_not_in_order",
    N_(
        "%(format)s would skip conversation %(conversation)s: after the system message it wants questions and "
        "answers in turn, with an answer at the end."
    ),
)
FLAGS_NOT_CARRIED = Trouble(
    "flags_not_carried",
    N_(
        "%(format)s has no flags for single turns, and the flags from conversation %(conversation)s on are "
        "equal to none of its settings. Write one sample for each trained turn, or leave the flags out."
    ),
)
TRAINED_NOT_AN_ANSWER = Trouble(
    "trained_not_an_answer",
    N_(
        "Conversation %(conversation)s trains a turn that is not the assistant's, which %(format)s cannot do. "
        "Leave such flags out, or choose a format that has them."
    ),
)
ARGUMENTS_NOT_JSON = Trouble(
    "arguments_not_json",
    N_(
        "Conversation %(conversation)s has a tool call whose arguments are not JSON, which %(format)s cannot "
        "read."
    ),
)
TOOLS_NOT_CARRIED = Trouble(
    "tools_not_carried",
    N_(
        "Conversation %(conversation)s has tools, which %(format)s would not read exactly as they are. Leave it "
        "out, or choose another format."
    ),
)
FAULTY = Trouble(
    "faulty",
    N_(
        "Conversation %(conversation)s has a fault from before conversations were checked as they are now, so it "
        "cannot be written for %(format)s. Correct it, approve it and freeze again."
    ),
)
NOTHING_TO_WRITE = Trouble(
    "nothing_to_write",
    N_("Nothing is left to write for %(format)s: no conversation fits, or no turn is trained."),
)
