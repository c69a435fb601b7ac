"""Sentences about a file as a whole: its kind, its encoding, its size, its CSV or Parquet frame."""

from __future__ import annotations

from app.interchange.sentences.problems import Trouble
from app.sentences import N_

EMPTY_FILE = Trouble(
    "empty_file",
    N_("The file is empty: there is nothing to import."),
)
NO_RECORDS = Trouble(
    "no_records",
    N_("The file holds no conversation."),
)
FILE_TOO_LARGE = Trouble(
    "file_too_large",
    N_(
        "The upload is larger than the limit of %(limit)s. Split the file and import the parts, or raise "
        "SFT_STUDIO_MAX_UPLOAD_BYTES."
    ),
)
TOO_MANY_RECORDS = Trouble(
    "too_many_records",
    N_("The file holds more than %(limit)d conversations. Split it and import the parts one after another."),
)
COMPRESSED = Trouble(
    "compressed",
    N_("This is a compressed file (%(kind)s). Unpack it first, then import what is inside."),
)
ARCHIVE_BROKEN = Trouble(
    "archive_broken",
    N_("The archive is damaged or incomplete, or packed in a way that cannot be read. Pack it again."),
)
ARCHIVE_ENCRYPTED = Trouble(
    "archive_encrypted",
    N_("The archive asks for a password. Unpack it, then import what is inside."),
)
UNPACKED_TOO_LARGE = Trouble(
    "unpacked_too_large",
    N_(
        "The archive unpacks to more than the limit of %(limit)s. Import its files one by one, or raise "
        "SFT_STUDIO_MAX_UPLOAD_BYTES."
    ),
)
TOO_MANY_MEMBERS = Trouble(
    "too_many_members",
    N_("The archive holds more than %(limit)d files. Pack them in several archives."),
)
NOTHING_IN_ARCHIVE = Trouble(
    "nothing_in_archive",
    N_(
        "The archive holds no file that can be imported (.jsonl, .json, .csv, .tsv, .txt, .xlsx or .parquet)."
    ),
)
MEMBERS_NOT_READ = Trouble(
    "members_not_read",
    N_("These files of the archive were not read: %(names)s."),
)
OFFICE = Trouble(
    "office_document",
    N_(
        "This is an Office document other than .xlsx. Save the table as .xlsx or “CSV UTF-8” and import that file."
    ),
)
WORKBOOK_TOO_LARGE = Trouble(
    "workbook_too_large",
    N_("The workbook unpacks to more than %(limit)s. Save the sheet as “CSV UTF-8” and import that file."),
)
WORKBOOK_BROKEN = Trouble(
    "workbook_broken",
    N_(
        "The workbook is damaged or cannot be read. Open it in Excel, save it again, or save it as “CSV UTF-8”."
    ),
)
SHEETS_NOT_READ = Trouble(
    "sheets_not_read",
    N_("The sheet “%(sheet)s” was read. Other sheets were not: %(others)s."),
)
ABOVE_THE_COLUMNS = Trouble(
    "above_the_columns",
    N_("The columns are named in row %(row)d. What stands above it was not read: “%(found)s”."),
)
MERGED_CELLS = Trouble(
    "merged_cells",
    N_("Merged cells were read as if their value stood in each of their rows."),
)
FORMULA_UNSAVED = Trouble(
    "formula_unsaved",
    N_(
        "Line %(line)d: cell %(cell)s holds a formula whose value was not saved. Open the workbook in Excel, save it, and "
        "import it again."
    ),
)
PDF = Trouble(
    "pdf",
    N_("This is a PDF. Import the dialogues as JSON Lines, a JSON list or CSV with a header row."),
)
MARKUP = Trouble(
    "markup",
    N_(
        "This is a document in %(kind)s. Import the dialogues as JSON Lines, a JSON list or CSV with a "
        "header row."
    ),
)
BINARY_KIND = Trouble(
    "binary",
    N_("This is a %(kind)s file, not text. Import JSON Lines, a JSON list or CSV with a header row."),
)
BINARY = Trouble(
    "binary",
    N_("This is not a text file. Import JSON Lines, a JSON list or CSV with a header row."),
)
TOO_MANY_LINES = Trouble(
    "too_many_lines",
    N_("The file has more than %(limit)d lines. Split it and import the parts one after another."),
)
LOOKS_GBK = Trouble(
    "looks_gbk",
    N_(
        "Line %(line)d is not UTF-8; it looks like Chinese or Japanese in another encoding. Choose the encoding of the "
        "file (GB18030, Big5, Shift JIS), or save it as UTF-8, and import it again. Nothing more was read."
    ),
)
NOT_UTF8 = Trouble(
    "not_utf8",
    N_(
        "Line %(line)d is not valid UTF-8 (byte %(byte)d of the line). Choose the encoding of the file, or save it "
        "as UTF-8."
    ),
)
NOT_IN_ENCODING = Trouble(
    "not_in_encoding",
    N_(
        "Line %(line)d is not valid %(encoding)s. Choose the encoding in which the file was saved. Nothing more was "
        "read."
    ),
)
READ_AS = Trouble(
    "read_as",
    N_(
        "The file is not UTF-8 and was read as %(encoding)s. If characters look wrong, choose its encoding and "
        "import it again."
    ),
)
UNRECOGNISED = Trouble(
    "unrecognised",
    N_(
        "This is neither JSON Lines, nor a JSON list, nor CSV with a header row, nor a chat with names before the words. "
        'A line should look like {"messages": [{"role": "user", "content": "…"}]}.'
    ),
)

WRAPPED = Trouble(
    "wrapped",
    N_("The records were read from the field “%(field)s”. What else stands in the file was not read."),
)
NOT_PARQUET = Trouble(
    "not_parquet",
    N_("This is not a Parquet file. Choose the format that fits, or “auto”."),
)
IS_PARQUET = Trouble(
    "is_parquet",
    N_("This is a Parquet file. Choose the format “parquet” or “auto”."),
)
PARQUET_BROKEN = Trouble(
    "parquet_broken",
    N_("The Parquet file is damaged or incomplete. Save it again and import the new file."),
)
PARQUET_TOO_LARGE = Trouble(
    "parquet_too_large",
    N_("The Parquet file unpacks to more than %(limit)s. Split it, or save it with smaller row groups."),
)
PARQUET_VALUE = Trouble(
    "parquet_value",
    N_(
        "Row %(line)d holds a value of the type %(kind)s. Only text, numbers, true/false and lists of "
        "them can be read."
    ),
)

CSV_COLUMNS = Trouble(
    "csv_columns",
    N_(
        "The header row does not tell which columns to read (found: %(found)s). Name them conversation_id, role and "
        "content, or prompt and response; or say with a mapping what they mean: “Set up a mapping” on the import page, "
        "“mapping” by REST, --mapping in commands."
    ),
)
CSV_DUPLICATE_COLUMN = Trouble(
    "csv_duplicate_column",
    N_("The header row names two columns for “%(column)s”. Keep one of them."),
)
CSV_BROKEN = Trouble(
    "csv_broken",
    N_(
        "Line %(line)d is not valid CSV: check the quotation marks of the row that begins there. "
        "Nothing after it was read."
    ),
)
CSV_UNFINISHED = Trouble(
    "csv_unfinished",
    N_(
        "The row that begins on line %(line)d has a quotation mark that is never closed. Nothing after "
        "it was read."
    ),
)
CSV_CELL_TOO_LONG = Trouble(
    "csv_cell_too_long",
    N_(
        "The row that begins on line %(line)d has a cell longer than %(limit)d characters. Shorten it, "
        "or look for a quotation mark that is never closed. Nothing after it was read."
    ),
)
CSV_CELLS = Trouble(
    "csv_cells",
    N_(
        "Line %(line)d has %(found)d cells, but the header row has %(expected)d. Put cells with commas "
        "in quotes."
    ),
)
CSV_NO_ID = Trouble(
    "csv_no_id",
    N_("Line %(line)d has no conversation_id, so it is unclear which conversation it belongs to."),
)
CSV_SCATTERED = Trouble(
    "csv_scattered",
    N_(
        "Line %(line)d returns to conversation “%(id)s”, which ended earlier. Keep the rows of a "
        "conversation together."
    ),
)
CSV_INCOMPLETE = Trouble(
    "csv_incomplete",
    N_(
        "The conversation that begins on line %(line)d was left out, because the row on line %(row)d "
        "could not be read."
    ),
)
