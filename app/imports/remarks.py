"""What an import keeps of a line that did not come in, or came in otherwise than it stood there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    from app.interchange import LineNote, LineProblem


class KeptRemark(TypedDict):
    """`line` is 0 for the file as a whole. Those of earlier programs have `message` and `params` instead of a `sentence`;
    `Sentence.stored_in` reads both."""

    line: int
    code: str
    sentence: NotRequired[dict[str, Any]]
    message: NotRequired[str]
    params: NotRequired[dict[str, Any]]
    # The file of an archive that holds several.
    member: NotRequired[str]


# For pydantic's models, which read typed dictionaries of the standard library from Python 3.12 on only.
if TYPE_CHECKING:
    Remark = KeptRemark
else:
    Remark = dict[str, Any]


def remark_json(remark: LineProblem | LineNote, member: str = "") -> KeptRemark:
    """A problem or a note as it is stored: translated only when somebody reads it."""
    kept = KeptRemark(line=remark.line, code=remark.code, sentence=remark.sentence.to_json())
    if named := remark.member or member:
        kept["member"] = named
    return kept
