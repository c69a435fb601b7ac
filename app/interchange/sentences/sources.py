"""Sentences about what a person said of the source of a file: its dataset_info.json, its flags."""

from __future__ import annotations

from app.interchange.sentences.problems import Trouble
from app.sentences import N_

# dataset_info.json
INFO_TOO_LARGE = Trouble(
    "info_too_large",
    N_("dataset_info.json is larger than %(limit)s. Choose the file that describes the data, not the data."),
)
INFO_NOT_JSON = Trouble(
    "info_not_json",
    N_("dataset_info.json is not valid JSON (line %(line)d). Correct it, or import without it."),
)
INFO_NO_ENTRIES = Trouble(
    "info_no_entries",
    N_(
        "dataset_info.json has no entries. It should be an object with one entry for each dataset: "
        '{"name": {"file_name": …}}.'
    ),
)
INFO_NO_SUCH_ENTRY = Trouble(
    "info_no_such_entry",
    N_("dataset_info.json has no entry “%(entry)s”. Name one of: %(names)s."),
)
INFO_NONE_FITS = Trouble(
    "info_none_fits",
    N_(
        "No entry of dataset_info.json has the file name “%(file)s”. Say which entry describes it: %(names)s."
    ),
)
INFO_SEVERAL_FIT = Trouble(
    "info_several_fit",
    N_(
        "Several entries of dataset_info.json have the file name “%(file)s”. Say which one is meant: "
        "%(names)s."
    ),
)
INFO_NOT_AN_OBJECT = Trouble(
    "info_not_an_object",
    N_("dataset_info.json, entry “%(entry)s”: “%(field)s” must be an object."),
)
INFO_NOT_TEXT = Trouble(
    "info_not_text",
    N_("dataset_info.json, entry “%(entry)s”: “%(field)s” must be text."),
)
INFO_FORMATTING = Trouble(
    "info_formatting",
    N_(
        "dataset_info.json, entry “%(entry)s”: the formatting “%(found)s” is unknown. Use alpaca, sharegpt "
        "or openai."
    ),
)
INFO_UNKNOWN_KEY = Trouble(
    "info_unknown_key",
    N_("dataset_info.json, entry “%(entry)s”: there is no key “%(key)s”. “%(meant)s” is meant."),
)
INFO_NOT_DIALOGUES = Trouble(
    "info_not_dialogues",
    N_(
        "dataset_info.json, entry “%(entry)s”: it has “%(field)s”, so the data are preferences, pictures or "
        "sound. Only dialogues in text can be imported."
    ),
)
FORMAT_CONFLICT = Trouble(
    "format_conflict",
    N_(
        "dataset_info.json says that the file is %(expected)s, but the chosen format is %(chosen)s. "
        "Choose “auto”."
    ),
)
MAPPING_CONFLICT = Trouble(
    "mapping_conflict",
    N_("A mapping says itself how the file is laid out. Choose the format “auto” and no dataset_info.json."),
)
COLUMN_ABSENT = Trouble(
    "column_absent",
    N_("The record on line %(line)d has no field “%(column)s”, which dataset_info.json says to read."),
)
CSV_MAPPED_COLUMNS = Trouble(
    "csv_mapped_columns",
    N_("The header row (%(found)s) has none of the columns that dataset_info.json says to read: %(wanted)s."),
)

# flags
TRAIN_FIELD_ABSENT = Trouble(
    "train_field_absent",
    N_(
        "No message of the file has the field “%(field)s” that should tell what is trained. Check its "
        "spelling, or leave it empty."
    ),
)
FLAGS_REPLACED = Trouble(
    "flags_replaced",
    N_("Line %(line)d: the flags of the file were replaced by the choice of what the source trained."),
)
PART_FLAGS = Trouble(
    "part_flags",
    N_(
        "Line %(line)d, message %(message)d: “%(field)s” trains only parts of the text. Here a message is "
        "trained as a whole or not at all: split it, or remove the field."
    ),
)
WEIGHT_ROLE = Trouble(
    "weight_role",
    N_(
        "Line %(line)d, message %(message)d: “weight” 1 stands on a %(role)s message, but weights are for "
        "assistant messages. Use “train”: true if its text should really be trained."
    ),
)
