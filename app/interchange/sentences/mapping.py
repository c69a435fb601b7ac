"""Sentences about a file that is read by a mapping."""

from __future__ import annotations

from app.interchange.sentences.problems import Trouble
from app.sentences import N_

NO_LIST = Trouble("mapping_no_list", N_("Line %(line)d: “%(field)s” holds no list of turns."))
NO_TEXT = Trouble("mapping_no_text", N_("Line %(line)d: “%(field)s” of a turn holds no text."))
NO_SPEAKERS = Trouble(
    "mapping_no_speakers",
    N_("Line %(line)d: “%(field)s” holds no dialogue with names before the words (“Customer: …”)."),
)
SIDE_UNKNOWN = Trouble(
    "mapping_side_unknown",
    N_("Line %(line)d: the mapping does not say whose side “%(value)s” is. Place it, or leave it out."),
)
NO_DIALOGUE = Trouble(
    "mapping_no_dialogue",
    N_("Line %(line)d: “%(column)s” is empty, so it is unclear to which dialogue the row belongs."),
)
NOTHING_LEFT = Trouble(
    "mapping_nothing_left",
    N_(
        "Line %(line)d: nothing is left of the dialogue that begins here: all of its turns are empty or left out."
    ),
)
BAD_ID = Trouble(
    "mapping_bad_id", N_("Line %(line)d: the id “%(value)s” is empty or stands on an earlier row too.")
)
NO_PARENT = Trouble(
    "mapping_no_parent", N_("Line %(line)d: the row before this one, “%(value)s”, is not in the file.")
)
TWO_CHILDREN = Trouble(
    "mapping_two_children",
    N_("Line %(line)d: several rows follow “%(value)s”. A dialogue goes on in one way: keep one of them."),
)
RING = Trouble("mapping_ring", N_("Line %(line)d: the rows follow each other in a ring (“%(value)s”)."))

# notes
LEFT_OUT = Trouble(
    "mapping_left_out", N_("Line %(line)d: %(count)d turns were left out, as the mapping says.")
)
EMPTY_LEFT_OUT = Trouble("mapping_empty", N_("Line %(line)d: %(count)d turns without text were left out."))
JOINED = Trouble(
    "mapping_joined",
    N_("Line %(line)d: %(count)d turns were joined with the turn of the same side before them."),
)
RECOGNISED = Trouble(
    "layout_recognised",
    N_(
        "The layout was recognised: %(layout)s. If the dialogues look wrong, import the file with a mapping of your own."
    ),
)
NOT_READ = Trouble("mapping_not_read", N_("These fields of the records were not read: %(names)s."))
CHAT = Trouble(
    "chat_sides",
    N_(
        "This is a chat, and nothing tells whose side its names are. Say it with a mapping: “Set up a mapping” on the import "
        "page, “mapping” by REST, --mapping in commands."
    ),
)
