"""How the pre-flight stood when a sweep was started: each item once, with what it said of which runs, and who accepted it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.core.i18n import gettext
from app.runs.preflight.documents import Accepted
from app.runs.preflight.items import Name
from app.runs.sweeps.table import Row


@dataclass
class Standing:
    """An item: `said` are its sentences in the reader's language, each with the ids of the runs that it is of. `accepted` where it
    was a warning.
    """

    name: str
    heading: str
    said: dict[str, list[int]] = field(default_factory=dict)
    accepted: Accepted | None = None


def read_standing(rows: Sequence[Row]) -> list[Standing]:
    """In the order of the list, warnings first; nothing of runs from before there was a pre-flight."""
    headings = {name.value: gettext(name.heading) for name in Name}
    found: dict[str, Standing] = {}
    for row in rows:
        record = row.run.preflight
        if record is None:
            continue
        for one in record.items:
            standing = found.setdefault(one.name, Standing(one.name, headings.get(one.name, one.name)))
            standing.said.setdefault(one.detail, []).append(row.run_id)
        for accepted in record.accepted:
            found.setdefault(
                accepted.name, Standing(accepted.name, headings.get(accepted.name, accepted.name))
            ).accepted = accepted
    return sorted(found.values(), key=lambda one: one.accepted is None)
