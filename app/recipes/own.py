"""Own recipes: saved under a name that is there once, private or shared, changed by whoever saw the version that they change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Final

from fastapi import Depends
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.accounts.access import CurrentActor
from app.accounts.permissions import Permission
from app.accounts.service import Actor, name_key, record
from app.core.database import reading, utc_now
from app.core.errors import Conflict, Invalid, NotFound, StudioError
from app.core.web import AppEngine
from app.recipes.config import parse_config
from app.recipes.models import NAME_CHARACTERS, PURPOSE_CHARACTERS, OwnRecipe
from app.recipes.recipes import BUILT_IN, Recipe, RecipeBook
from app.recipes.settings import RecipeSettings
from app.sentences import N_

# More than people look through; each is in every form of a new run.
MOST_RECIPES: Final = 200
_BUILT_IN: Final = N_("“%(name)s” is a built-in recipe. Choose another name.")
_TAKEN: Final = N_("There is a recipe “%(name)s” already, yours or somebody else's. Choose another name.")
_NAME: Final = N_(
    "The name of a recipe has 1 to %(limit)d characters that can be seen, a letter or digit among them, and no slash."
)
_FIXED: Final = N_("“%(name)s” is built in and stays as it is. Duplicate it, and change that.")
_CHANGED: Final = N_(
    "%(person)s changed “%(name)s” meanwhile: it is in version %(now)d, and you have seen version %(seen)d. Look at what it "
    "says now, then save again."
)


@dataclass(frozen=True)
class RecipeDraft:
    """What somebody wants to save: `settings` as typed or sent, by field; what is not in it follows the standard."""

    name: str
    purpose: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    is_shared: bool = False


def recipe_of(row: OwnRecipe) -> Recipe:
    """As one trains with it. Raises Conflict, with the fields in `details`, for one that this program refuses."""
    try:
        config = row.settings.config()
    except Conflict as error:
        raise Conflict(
            N_(
                "The recipe “%(name)s” cannot be used as it is: %(reason)s Correct it on its page among the recipes, or delete it."
            ),
            details=error.details,
            name=row.name,
            reason=str(error.details[0].get("message", "")),
        ) from error
    return Recipe(row.name, row.name, row.purpose, config, row.id, row.version)


def list_own(session: Session, actor: Actor) -> list[OwnRecipe]:
    """Those that this person may see, by name: shared ones and their own, or all of them."""
    rows = session.exec(select(OwnRecipe).order_by(col(OwnRecipe.name_key)))
    return [row for row in rows if actor.may(Permission.RECIPE_MANAGE) or _is_offered(actor, row)]


def _is_offered(actor: Actor, row: OwnRecipe) -> bool:
    return row.is_shared or row.created_by_user_id == actor.user_id


def read_book(session: Session, actor: Actor) -> RecipeBook:
    """Every recipe that this person trains with; administrators see others' own without being offered them."""
    own, unusable = [], {}
    for row in filter(partial(_is_offered, actor), list_own(session, actor)):
        try:
            own.append(recipe_of(row))
        except Conflict as error:
            unusable[row.name] = error
    return RecipeBook(own, unusable)


def get_book(engine: AppEngine, actor: CurrentActor) -> RecipeBook:
    """The recipes that whoever asks may name."""
    with reading(engine) as session:
        return read_book(session, actor)


AppRecipes = Annotated[RecipeBook, Depends(get_book)]


def require_own(session: Session, actor: Actor, which: int | str) -> OwnRecipe:
    """The own recipe of this id or name. Raises NotFound for none, or one that this person may not see, Conflict for a
    built-in one.
    """
    for row in list_own(session, actor):
        if which == row.id or (isinstance(which, str) and name_key(which) == row.name_key):
            return row
    if isinstance(which, str):
        built_in = BUILT_IN.find(which)
        if built_in is not None:
            raise Conflict(_FIXED, name=built_in.name)
        raise NotFound(N_("There is no recipe “%(name)s”."), name=which[:NAME_CHARACTERS])
    raise NotFound(N_("There is no such recipe. It may have been deleted, or is somebody else's own."))


def save_recipe(session: Session, actor: Actor, draft: RecipeDraft) -> OwnRecipe:
    """A new one. Raises Invalid about the field that is wrong, Conflict for a name that is taken or one recipe too many."""
    settings = judge_settings(draft.settings)
    name, key = _free_name(session, draft.name)
    if len(session.exec(select(OwnRecipe.id)).all()) >= MOST_RECIPES:
        raise Conflict(
            N_("There are %(most)d own recipes already. Delete one that nobody needs."), most=MOST_RECIPES
        )
    row = OwnRecipe(
        name=name,
        name_key=key,
        purpose=_purpose(draft.purpose),
        settings=settings,
        is_shared=draft.is_shared,
        **actor.who.columns(),
        **actor.who.columns("updated_by"),
    )
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        raise Conflict(_TAKEN, field="name", name=name) from None
    record(session, actor, "recipe.save", f"recipe/{row.id}")
    return row


def change_recipe(
    session: Session, actor: Actor, row: OwnRecipe, draft: RecipeDraft, *, version: int
) -> OwnRecipe:
    """All of it anew, where it still is in the `version` that the person saw.

    Raises as save_recipe, Conflict for another version, Refused for making somebody else's private.
    """
    if row.is_shared and not draft.is_shared:
        _require_owner(actor, row)
    settings = judge_settings(draft.settings)
    name, key = _free_name(session, draft.name, besides=row)
    values = {
        "name": name,
        "name_key": key,
        "purpose": _purpose(draft.purpose),
        "settings": settings,
        "is_shared": draft.is_shared,
        "version": version + 1,
        "updated_at": utc_now(),
        **actor.who.columns("updated_by"),
    }
    statement = update(OwnRecipe).where(col(OwnRecipe.id) == row.id, col(OwnRecipe.version) == version)
    try:
        with session.begin_nested():
            changed = session.execute(statement.values(values)).rowcount  # type: ignore[attr-defined]
    except IntegrityError:
        raise Conflict(_TAKEN, field="name", name=name) from None
    session.refresh(row)
    if not changed:
        raise Conflict(
            _CHANGED, field="version", person=row.updated_by, name=row.name, now=row.version, seen=version
        )
    record(session, actor, "recipe.change", f"recipe/{row.id}")
    return row


def delete_recipe(session: Session, actor: Actor, row: OwnRecipe) -> None:
    """Forget it; runs keep what they were trained with. Raises Refused for somebody else's."""
    _require_owner(actor, row)
    record(session, actor, "recipe.delete", f"recipe/{row.id} {row.name}")
    session.delete(row)


def owns(actor: Actor, row: OwnRecipe) -> bool:
    """Whether this person may delete it, and take it back from the others."""
    mine = row.created_by_user_id == actor.user_id and actor.may(Permission.RECIPE_SAVE)
    return mine or actor.may(Permission.RECIPE_MANAGE)


def judge_settings(settings: Mapping[str, object]) -> RecipeSettings:
    """As they are kept. Raises Invalid about the fields that are wrong."""
    return RecipeSettings.of(parse_config(settings))


def problems_of(row: OwnRecipe) -> dict[str, str]:
    """What this program refuses in it, by field, in the reader's language; empty for one that can be used."""
    try:
        row.settings.config()
    except StudioError as error:
        return {str(one.get("field", "")): str(one.get("message", "")) for one in error.details}
    return {}


def _require_owner(actor: Actor, row: OwnRecipe) -> None:
    if not owns(actor, row):
        actor.require(Permission.RECIPE_MANAGE)


def _free_name(session: Session, name: str, *, besides: OwnRecipe | None = None) -> tuple[str, str]:
    """The name as it is stored, and its one spelling."""
    name = name.strip()
    # As a segment of an address, and on a command line.
    seen = name.isprintable() and any(sign.isalnum() for sign in name) and not set(name) & set("/\\")
    if not seen or len(name) > NAME_CHARACTERS or name.startswith("-"):
        raise Invalid(_NAME, field="name", limit=NAME_CHARACTERS)
    key = name_key(name)
    if BUILT_IN.find(name) is not None:
        raise Conflict(_BUILT_IN, field="name", name=name)
    holder = session.exec(select(OwnRecipe).where(OwnRecipe.name_key == key)).first()
    if holder is not None and (besides is None or holder.id != besides.id):
        raise Conflict(_TAKEN, field="name", name=name)
    return name, key


def _purpose(text: str) -> str:
    text = text.strip()
    if len(text) > PURPOSE_CHARACTERS:
        raise Invalid(
            N_("The purpose is longer than %(limit)d characters."),
            field="purpose",
            limit=PURPOSE_CHARACTERS,
        )
    return text
