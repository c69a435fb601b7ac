"""What REST says of the pre-flight."""

from collections.abc import Collection
from typing import Annotated, Final

from pydantic import BaseModel, Field

from app.core.i18n import gettext, say
from app.runs.preflight.documents import PreflightRecord
from app.runs.preflight.gate import require_names, waiting
from app.runs.preflight.items import Item, Level, Name

AcceptedNames = Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=50)]
ACCEPTED: Final = "Names of the pre-flight's warnings that you have looked at and accept."


class PreflightItemOut(BaseModel):
    """`name` is what a start accepts a warning by. Texts are in the reader's language; `link` is a path on the server; `changes`
    are fields that help, for `changes` of a start or for the mask settings.
    """

    name: Name
    level: Level
    title: str
    message: str
    field: str | None
    helps: str | None
    changes: dict[str, str]
    link: str | None
    accepted: bool

    @classmethod
    def of(cls, item: Item, *, accepted: bool) -> "PreflightItemOut":
        """As it is told."""
        return cls(
            name=item.name,
            level=item.level,
            title=gettext(item.name.heading),
            message=say(item.sentence),
            field=item.field,
            helps=say(item.helps) if item.helps else None,
            changes={item.change.field: item.change.value} if item.change else {},
            link=item.link,
            accepted=accepted,
        )

    @property
    def lets_start(self) -> bool:
        """Whether it stands in nobody's way."""
        return self.level is Level.OK or (self.level is Level.WARNING and self.accepted)


class PreflightOut(BaseModel):
    """What stands against a start; `may_start`: there is no error, and no warning that is not accepted."""

    preflight: list[PreflightItemOut]
    may_start: bool

    @classmethod
    def of(
        cls, items: list[Item], accepted: Collection[str], reason: str, before: PreflightRecord | None
    ) -> "PreflightOut":
        """The list, with what is accepted now and what was `before`. Raises Invalid for a name that no item has."""
        told = items_out(items, accepted, reason, before)
        return cls(preflight=told, may_start=all(one.lets_start for one in told))


def items_out(
    items: list[Item],
    accepted: Collection[str],
    override_reason: str = "",
    before: PreflightRecord | None = None,
) -> list[PreflightItemOut]:
    """All of them. Raises Invalid for a name that no item has."""
    require_names(accepted)
    left = {one.name for one in waiting(items, accepted, override_reason, before)}
    return [
        PreflightItemOut.of(one, accepted=one.level is Level.WARNING and one.name not in left)
        for one in items
    ]
