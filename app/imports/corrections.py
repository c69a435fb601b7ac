"""Corrected records: the same is asked as in a conversation of the dataset, and answered otherwise.

Whoever imports says what becomes of them. What is replaced becomes a new revision of the old conversation, one by one and
after the rest of the file is there: each is a decision of its own, and importing the file again goes on where it stopped.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlmodel import Session

from app.accounts.service import Actor
from app.conversations.duplicates import Duplicate, known_questions, known_words
from app.conversations.service import require_conversation, say
from app.core.errors import Conflict, NotFound
from app.core.pieces import go_on, piece, polite_piece
from app.imports.incoming import ReadFile
from app.imports.models import WAITS, DatasetImport
from app.imports.remarks import KeptRemark
from app.imports.work import SameQuestions
from app.sentences import N_, Sentence

KEPT_NOTES: Final = 200
_SENTENCES: Final[Mapping[SameQuestions, str]] = {
    "ask": N_("Line %(line)d: the same questions as in conversation %(id)d, and another answer."),
    "keep": N_(
        "Line %(line)d: the same questions as in conversation %(id)d, and another answer. Both were kept."
    ),
    "replace": N_(
        "Line %(line)d: the same questions as in conversation %(id)d, which has the new answer now, as a new revision."
    ),
    "skip": N_(
        "Line %(line)d: the same questions as in conversation %(id)d, and another answer. It was left out."
    ),
}


class Corrections:
    """Of one file: which of its conversations ask the same as one that is there."""

    def __init__(self, dataset_id: int, choice: SameQuestions) -> None:
        self.choice = choice
        self._dataset_id = dataset_id
        self._known: dict[str, int] = {}
        self._replacing: dict[str, int] = {}
        self._replaced: set[str] = set()

    def look(self, session: Session, batch: Sequence[Mapping[str, Any]]) -> set[str]:
        """Look up these conversations, which take() then takes; the words hashes that the dataset has already."""
        with piece(session, read_only=True):
            asked = {columns["questions_hash"] for columns in batch}
            self._known = known_questions(session, self._dataset_id, asked - self._replaced)
            return known_words(session, self._dataset_id, {columns["words_hash"] for columns in batch})

    def take(self, columns: Mapping[str, Any], line: int, found: DatasetImport) -> bool:
        """Whether this new conversation is to be stored beside what is there; notes and counts go into the report."""
        old = self._known.get(columns["questions_hash"])
        if old is None:
            return True
        found.same_questions += 1
        found.note_count += 1
        # The first is kept however full the list is: it tells that they wait.
        if len(found.notes) < KEPT_NOTES or found.same_questions == 1:
            found.notes = [*found.notes, _note(self.choice, line, old)]
        if self.choice == "replace":
            # A second answer to the same questions in this file has nothing to replace.
            del self._known[columns["questions_hash"]]
            self._replaced.add(columns["questions_hash"])
            self._replacing[columns["words_hash"]] = old
        return self.choice == "keep"

    def look_through(
        self, session: Session, file: ReadFile, found: DatasetImport, keep_on: Callable[[], None] = go_on
    ) -> None:
        """Take every conversation of the file that the dataset has not; nothing is stored. `keep_on` is called between
        pieces."""
        for batch in file.pieces():
            words = self.look(session, [columns for columns, _, _ in batch])
            for columns, _, line in batch:
                if columns["words_hash"] not in words:
                    self.take(columns, line, found)
            keep_on()

    def replace(
        self,
        session: Session,
        actor: Actor,
        file: ReadFile,
        found: DatasetImport,
        keep_on: Callable[[], None] = go_on,
    ) -> None:
        """Give the old conversations their new answers, each in a piece of its own."""
        if not self._replacing:
            return
        for columns, _, _ in file.conversations():
            old = self._replacing.pop(columns["words_hash"], None)
            if old is None:
                continue
            keep_on()
            try:
                with polite_piece(session):
                    conversation = require_conversation(session, old)
                    said = {"messages": columns["messages"], "tools": columns["tools"]}
                    say(session, old, conversation.version, actor, said)
                    found.replaced += 1
            except (Conflict, Duplicate, NotFound):
                # Somebody changed, wrote or removed it at this moment: theirs is newer.
                continue


def waiting_for_a_choice(
    session: Session,
    dataset_id: int,
    file: ReadFile,
    found: DatasetImport,
    keep_on: Callable[[], None] = go_on,
) -> None:
    """Name in the report the corrected records that the file holds, of which somebody has to say what becomes of them."""
    Corrections(dataset_id, "ask").look_through(session, file, found, keep_on)


def _note(choice: SameQuestions, line: int, old: int) -> KeptRemark:
    sentence = Sentence.of(_SENTENCES[choice], line=line, id=old)
    return {
        "line": line,
        "code": WAITS if choice == "ask" else "same_questions",
        "sentence": sentence.to_json(),
    }
