"""Names that people give to things: whatever is in one is seen."""

import unicodedata
from typing import Final

from app.core.errors import Invalid
from app.sentences import N_

# Controls, marks of writing direction, line ends, halves of characters.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What Persian, Indian scripts and emoji put between two signs that belong together.
JOINERS: Final = frozenset("\u200c\u200d")


def visible_name(name: str) -> str:
    """The name without spaces around it. Raises Invalid where it holds a character that nobody sees: it would look like another name,
    or turn around the words after it.
    """
    name = name.strip()
    refuse_unseen(name, _UNSEEN, JOINERS)
    return name


def refuse_unseen(name: str, categories: frozenset[str], but: frozenset[str] = frozenset()) -> None:
    """Raises Invalid for a character of these categories of Unicode, `but` those."""
    hidden = next(
        (sign for sign in name if unicodedata.category(sign) in categories and sign not in but), None
    )
    if hidden is not None:
        raise Invalid(
            N_("The name holds a character that cannot be seen (U+%(number)s). Type it again without it."),
            field="name",
            number=f"{ord(hidden):04X}",
        )
