"""What one may say about a version when it is frozen: its name, which of the approved conversations are in it, and how
many of them are held out."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Final

from app.conversations.filters import ConversationFilter
from app.conversations.models import ReviewState
from app.core.errors import Invalid
from app.core.names import visible_name
from app.sentences import N_
from app.versions.models import NAME_LIMIT

VALIDATION_SHARE: Final = 0.05
MAX_SHARE: Final = 0.5
MAX_SEED: Final = 2**31 - 1
MAX_NOTE: Final = 2000
# Below this many conversations the usual share would cost more than it tells.
_MIN_FOR_VALIDATION: Final = 10
# What of a filter chooses conversations; the rest of it is about people, or about lists.
_NOT_CHOSEN: Final = ("dataset_id", "review_state", "sent_back_to", "assigned_to", "sort")


@dataclass(frozen=True)
class FreezeOptions:
    """`where`: conditions that the approved conversations must meet, None for all of them. `validation_share`: 0 to 0.5,
    None for the usual one, which takes none of fewer than ten. `seed`: another one holds out others."""

    name: str = ""
    note: str = ""
    where: ConversationFilter | None = None
    validation_share: float | None = None
    seed: int = 0

    def checked(self) -> "FreezeOptions":
        """The same with its texts as they are stored. Raises Invalid naming the field."""
        share = self.validation_share
        if share is not None and not 0 <= share <= MAX_SHARE:
            raise Invalid(N_("Hold out at most half of them."), field="validation_share")
        name, note = checked_name(self.name), checked_note(self.note)
        return FreezeOptions(name, note, self.where, share, checked_seed(self.seed))

    def approved(self, dataset_id: int) -> ConversationFilter:
        """What is frozen."""
        where = self.where or ConversationFilter(dataset_id)
        return where.but(
            dataset_id=dataset_id,
            review_state=ReviewState.APPROVED,
            sent_back_to=None,
            assigned_to=None,
            sort="",
        )

    @property
    def selection(self) -> dict[str, str | int]:
        """The conditions by name, as the version keeps them; empty for all that is approved."""
        if self.where is None:
            return {}
        names = [part.name for part in fields(self.where) if part.name not in _NOT_CHOSEN]
        return {name: value for name in names if (value := getattr(self.where, name))}

    def held_out(self, hashes: Iterable[str]) -> set[str]:
        """Which conversations are held out, by content hash: the ones with the smallest hashes, so that those stay which
        were, when others are added. At least one is left to train on."""
        found = set(hashes)
        if self.validation_share is None and len(found) < _MIN_FOR_VALIDATION:
            return set()
        share = VALIDATION_SHARE if self.validation_share is None else self.validation_share
        count = min(len(found) - 1, max(1, round(len(found) * share))) if share else 0
        return set(sorted(found, key=self._place)[:count])

    def _place(self, content_hash: str) -> str:
        return sha256(f"{self.seed}:{content_hash}".encode()).hexdigest() if self.seed else content_hash


def checked_seed(seed: int | None) -> int:
    """Raises Invalid for one that is out of range, and for None, which was no whole number."""
    if seed is None or not 0 <= seed <= MAX_SEED:
        raise Invalid(N_("The seed is a whole number from 0 to %(most)d."), field="seed", most=MAX_SEED)
    return seed


def checked_name(name: str) -> str:
    """A version's name as it is stored; may be empty. Raises Invalid for one that is too long or holds what nobody sees."""
    name = visible_name(" ".join(name.split()))
    if len(name) > NAME_LIMIT:
        raise Invalid(N_("Enter a name of at most 80 characters."), field="name")
    return name


def checked_note(note: str) -> str:
    """A version's note as it is stored. Raises Invalid for one that is too long."""
    note = note.strip()
    if len(note) > MAX_NOTE:
        raise Invalid(N_("The note is longer than %(limit)d characters."), field="note", limit=MAX_NOTE)
    return note
