"""Sentences about one record: its JSON, its layout, its messages, and notes about what was left out."""

from __future__ import annotations

from typing import Final

from app.interchange.sentences.problems import Trouble
from app.sentences import N_

# JSON itself
RECORD_TOO_LONG = Trouble(
    "record_too_long",
    N_(
        "The record on line %(line)d is longer than %(limit)s. Split the conversation or look for a "
        "missing bracket."
    ),
)
ENDLESS_RECORD = Trouble(
    "endless_record",
    N_(
        "The record on line %(line)d does not end within %(limit)s: a bracket or a quotation mark is "
        "missing. Nothing after it was read."
    ),
)
HALF_RECORD = Trouble(
    "half_record",
    N_("The record on line %(line)d stops in the middle: the rest of it is missing."),
)
NOT_JSON = Trouble(
    "not_json",
    N_("Line %(line)d is not valid JSON (column %(column)d)."),
)
SEVERAL_VALUES = Trouble(
    "several_values",
    N_("Line %(line)d goes on after the end of its record (column %(column)d). Write one record per line."),
)
SINGLE_QUOTES = Trouble(
    "single_quotes",
    N_(
        "Line %(line)d uses single quotes (column %(column)d). JSON wants double quotes around names and "
        "text."
    ),
)
CONTROL_CHARACTER = Trouble(
    "control_character",
    N_(
        "Line %(line)d has a raw tab or control character inside a text (column %(column)d). Write it as "
        "\\t, \\n or \\u…."
    ),
)
NUL_CHARACTER = Trouble(
    "nul_character",
    N_("Line %(line)d contains a NUL character. Remove it."),
)
LONE_SURROGATE = Trouble(
    "lone_surrogate",
    N_(
        "Line %(line)d contains half of a character (a lone surrogate such as \\ud83d). Write the whole "
        "character."
    ),
)
DUPLICATE_KEY = Trouble(
    "duplicate_key",
    N_("Line %(line)d has the field “%(key)s” twice in one object. Keep one of them."),
)
NOT_A_NUMBER = Trouble(
    "not_a_number",
    N_("Line %(line)d contains %(value)s, which is not JSON. Use null or a number."),
)
NUMBER_TOO_LONG = Trouble(
    "number_too_long",
    N_("Line %(line)d contains a number with more than %(limit)d digits. Write it as text."),
)
NUMBER_TOO_LARGE = Trouble(
    "number_too_large",
    N_("Line %(line)d contains a number that is too large. Write it as text."),
)
TOO_DEEP = Trouble(
    "too_deep",
    N_("The record on line %(line)d is nested more than %(limit)d levels deep. Flatten it."),
)
LIST_BROKEN = Trouble(
    "list_broken",
    N_(
        "The JSON list is broken on line %(line)d at “%(found)s”: check commas and brackets. Nothing "
        "after it was read."
    ),
)
LIST_OF_OTHERS = Trouble(
    "list_of_others",
    N_(
        "The JSON list holds something else than objects ({…}) on line %(line)d: “%(found)s”. Nothing after it was read."
    ),
)
LIST_UNFINISHED = Trouble(
    "list_unfinished",
    N_("The JSON list is not closed at the end of the file (line %(line)d): the rest of it is missing."),
)
COLUMNS_BROKEN = Trouble(
    "columns_broken",
    N_(
        "The file is JSON written column by column, and it is broken on line %(line)d: check brackets, commas and "
        "quotation marks. Nothing was read."
    ),
)
LIST_TRAILING = Trouble(
    "list_trailing",
    N_(
        "Something follows the end of the JSON list on line %(line)d. A file holds one list, or one "
        "record per line."
    ),
)

# layout
# Of records that cannot be read at all.
JSON_CODES: Final = frozenset(item.code for item in list(globals().values()) if isinstance(item, Trouble))

NOT_AN_OBJECT = Trouble(
    "not_an_object",
    N_("The record on line %(line)d is not a JSON object ({…})."),
)
UNKNOWN_LAYOUT = Trouble(
    "unknown_layout",
    N_(
        "The record on line %(line)d has none of the fields messages, conversations or instruction (found: "
        "%(found)s). Say with a mapping which of its fields hold the turns: “Set up a mapping” on the import page, "
        "“mapping” by REST, --mapping in commands."
    ),
)
BARE_MESSAGE = Trouble(
    "bare_message",
    N_(
        "The record on line %(line)d is a single message. Say with a mapping what tells the conversations apart: “Set "
        "up a mapping” on the import page, “mapping” by REST, --mapping in commands."
    ),
)
MIXED_LAYOUTS = Trouble(
    "mixed_layouts",
    N_(
        "The record on line %(line)d is in the %(found)s format, but the file began as %(expected)s. Use "
        "one format per file."
    ),
)
WRONG_LAYOUT = Trouble(
    "wrong_layout",
    N_("The record on line %(line)d is not in the chosen %(expected)s format: it has no field “%(field)s”."),
)

# messages
MESSAGES_NOT_LIST = Trouble(
    "messages_not_list",
    N_("Line %(line)d: the field “%(field)s” must be a list of messages."),
)
EMPTY_DIALOGUE = Trouble(
    "empty_dialogue",
    N_("The conversation on line %(line)d has no message with text."),
)
MESSAGE_NOT_OBJECT = Trouble(
    "message_not_object",
    N_("Line %(line)d, message %(message)d: a message must be an object with role and content."),
)
NO_ROLE = Trouble(
    "no_role",
    N_("Line %(line)d, message %(message)d: the role is missing."),
)
UNKNOWN_ROLE = Trouble(
    "unknown_role",
    N_(
        "Line %(line)d, message %(message)d: the role “%(role)s” is unknown. Use system, user, assistant "
        "or tool, or say with a mapping whose side it is."
    ),
)
NO_CONTENT = Trouble(
    "no_content",
    N_("Line %(line)d, message %(message)d: the content is missing."),
)
CONTENT_NOT_TEXT = Trouble(
    "content_not_text",
    N_(
        "Line %(line)d, message %(message)d: the content must be text; images, audio and files cannot be "
        "imported."
    ),
)
CONTENT_PART = Trouble(
    "content_part",
    N_(
        "Line %(line)d, message %(message)d: the content has a part of the type “%(type)s”. Only parts of text can be "
        "imported."
    ),
)
MEDIA = Trouble(
    "holds_media",
    N_(
        "Line %(line)d: the field “%(field)s” holds pictures, sound or video, which cannot be imported. Leave this "
        "record out, or describe them in words."
    ),
)
BAD_TRAIN = Trouble(
    "bad_train",
    N_("Line %(line)d, message %(message)d: “%(field)s” must be true or false, not %(value)s."),
)
BAD_WEIGHT = Trouble(
    "bad_weight",
    N_("Line %(line)d, message %(message)d: “weight” must be 0 or 1, not %(value)s."),
)
TRAIN_CONFLICT = Trouble(
    "train_conflict",
    N_("Line %(line)d, message %(message)d: the flags %(fields)s contradict each other. Keep one of them."),
)
BAD_FUNCTION_CALL = Trouble(
    "bad_function_call",
    N_("Line %(line)d, message %(message)d: a function call must be JSON with “name” and “arguments”."),
)
ALPACA_FIELD = Trouble(
    "alpaca_field",
    N_("Line %(line)d: the field “%(field)s” must be text."),
)
ALPACA_HISTORY = Trouble(
    "alpaca_history",
    N_("Line %(line)d: “history” must be a list of pairs [question, answer]."),
)

# notes: the conversation came in
NO_ASSISTANT = Trouble(
    "no_assistant",
    N_("The conversation on line %(line)d has no assistant message, so it can only be a draft for now."),
)
EMPTY_MESSAGE = Trouble(
    "empty_message",
    N_("Line %(line)d: message %(message)d is empty."),
)
BEGINS_WITH_ASSISTANT = Trouble(
    "begins_with_assistant",
    N_("The dialogue on line %(line)d begins with the assistant. Some chat templates refuse that."),
)
SAME_SIDE_TWICE = Trouble(
    "same_side_twice",
    N_(
        "Line %(line)d, message %(message)d: %(role)s speaks twice in a row. Some chat templates refuse that; a mapping "
        "can join such turns."
    ),
)
DIALOGUE_IN_TEXT = Trouble(
    "dialogue_in_text",
    N_(
        "Line %(line)d, message %(message)d: its text looks like a whole dialogue (“Human: … Assistant: …”) and came in "
        "as one turn. A mapping can read its turns."
    ),
)
ROLE_READ_AS = Trouble(
    "role_read_as",
    N_("Line %(line)d: the role “%(name)s” was read as %(role)s, here and in the rest of the file."),
)
FIELDS_NOT_KEPT = Trouble(
    "fields_not_kept",
    N_("Line %(line)d: these fields were not kept: %(fields)s."),
)
OUTCOME_UNKNOWN = Trouble(
    "outcome_unknown",
    N_("Line %(line)d: the outcome “%(value)s” is unknown and was left empty. Use won, lost or open."),
)
LANGUAGE_UNKNOWN = Trouble(
    "language_unknown",
    N_("Line %(line)d: the language “%(value)s” is unknown and was left empty. Use a code such as en or zh."),
)
LABEL_NOT_KEPT = Trouble(
    "label_not_kept",
    N_("Line %(line)d: the value of “%(field)s” is not a text and was left empty."),
)
TAGS_NOT_KEPT = Trouble(
    "tags_not_kept",
    N_("Line %(line)d: the tags are not a list of texts and were left out."),
)
