"""Pages of recipes: all of them, and the form of one's own."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.errors import Conflict, Invalid, NotFound
from app.core.i18n import gettext, say
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db, Posted
from app.recipe_book.form import RecipeForm
from app.recipe_book.listing import list_recipes
from app.recipe_book.merging import Merged, merge
from app.recipe_book.sources import settings_of_form, settings_of_recipe, settings_of_run
from app.recipes.fields import FIELD_GROUPS
from app.recipes.foreign import TITLES
from app.recipes.given import GivenConfig, blank
from app.recipes.models import NAME_CHARACTERS, PURPOSE_CHARACTERS, OwnRecipe
from app.recipes.own import (
    AppRecipes,
    RecipeDraft,
    change_recipe,
    delete_recipe,
    owns,
    require_own,
    save_recipe,
)
from app.runs.judging import AppJudging
from app.runs.new_run_view import form_of
from app.runs.service import require_run
from app.sentences import N_

router = Router(prefix="/recipes", include_in_schema=False)


@router.get("", response_model=None)
@needs(Permission.RECIPE_READ)
def list_page(request: Request, session: Db, actor: CurrentActor, judging: AppJudging) -> Response:
    """All recipes that the reader may see."""
    return render(request, "recipes/list.html", {"recipes": list_recipes(session, actor, judging)})


@router.get("/new", response_model=None)
@needs(Permission.RECIPE_SAVE)
def new_page(
    request: Request, session: Db, book: AppRecipes, like: str = "", run: int | None = None
) -> Response:
    """The form of a new recipe, empty, or with what another recipe or a run had."""
    form = RecipeForm()
    if like:
        recipe = book.require(like)
        name = gettext(N_("%(name)s, copy")) % {"name": recipe.label}
        form = RecipeForm.of(settings_of_recipe(recipe), name=name[:NAME_CHARACTERS], purpose=recipe.about)
    elif run is not None:
        found = require_run(session, run)
        purpose = gettext(N_("As run %(id)d, “%(name)s”.")) % {"id": run, "name": found.name}
        form = RecipeForm.of(settings_of_run(found), purpose=purpose[:PURPOSE_CHARACTERS])
    return _form_page(request, form)


@router.post("/new", response_model=None)
@needs(Permission.RECIPE_SAVE)
def from_run_form(request: Request, book: AppRecipes, posted: Posted) -> Response:
    """The form of a new recipe, with the settings of the form of a new run."""
    return _form_page(request, RecipeForm.of(settings_of_form(form_of(posted, book))))


@router.get("/import", response_model=None)
@needs(Permission.RECIPE_SAVE)
def import_page(request: Request) -> Response:
    """Choose or paste a file."""
    return render(request, "recipes/import.html", blank())


@router.post("/import", response_model=None)
@needs(Permission.RECIPE_SAVE)
def read_file(request: Request, given: GivenConfig) -> Response:
    """The form of a new recipe as the file says, with a note for each key that has no meaning here."""
    try:
        read = given.read()
    except Invalid as error:
        return render(request, "recipes/import.html", given.shown(error), status=error.status)
    form = RecipeForm.of(
        read.values,
        name=read.name[:NAME_CHARACTERS],
        purpose=read.purpose[:PURPOSE_CHARACTERS],
        notes=[say(note) for note in read.notes],
    )
    return _form_page(request, form, tool=TITLES[read.tool])


@router.post("", response_model=None)
@needs(Permission.RECIPE_SAVE)
def save(request: Request, session: Db, actor: CurrentActor, posted: Posted) -> Response:
    """Save a new one; what is wrong comes back beside its field with everything that was typed."""
    form = RecipeForm.posted(posted)
    try:
        row = save_recipe(session, actor, form.draft())
    except (Invalid, Conflict) as error:
        return _form_page(request, _with_errors(form, error), status=error.status)
    return _listed(row)


@router.get("/{recipe_id}", response_model=None)
@needs(Permission.RECIPE_SAVE)
def edit_page(request: Request, session: Db, actor: CurrentActor, recipe_id: int) -> Response:
    """The form of an own or a shared one."""
    row = require_own(session, actor, recipe_id)
    return _form_page(request, RecipeForm.stored(row), row=row, is_owner=owns(actor, row))


@router.post("/{recipe_id}", response_model=None)
@needs(Permission.RECIPE_SAVE)
def change(request: Request, session: Db, actor: CurrentActor, recipe_id: int, posted: Posted) -> Response:
    """Save a changed one. Where somebody else did meanwhile, the form has what either of both changed, and what both did stands
    beside it; saving again takes what is in the form. Where the recipe is gone, saving makes a new one.
    """
    form = RecipeForm.posted(posted)
    try:
        row = require_own(session, actor, recipe_id)
    except NotFound:
        form.version = None
        return _form_page(request, form, is_gone=True, status=HTTPStatus.NOT_FOUND)
    seen = form.version or 0
    try:
        return _listed(change_recipe(session, actor, row, form.draft(), version=seen))
    except (Invalid, Conflict) as error:
        form = _with_errors(form, error)
        merged = merge(form, row) if row.version != seen else None
        is_owner = owns(actor, row)
        return _form_page(request, form, row=row, is_owner=is_owner, status=error.status, merged=merged)


@router.post("/{recipe_id}/share", response_model=None)
@needs(Permission.RECIPE_SAVE)
def share(
    session: Db,
    actor: CurrentActor,
    recipe_id: int,
    shared: Annotated[bool, Form()] = False,
) -> Response:
    """For everybody here, or for oneself. What else somebody changed meanwhile stays."""
    row = require_own(session, actor, recipe_id)
    if row.is_shared != shared:
        draft = RecipeDraft(row.name, row.purpose, row.settings.values, shared)
        change_recipe(session, actor, row, draft, version=row.version)
    return _listed(row)


@router.post("/{recipe_id}/delete", response_model=None)
@needs(Permission.RECIPE_SAVE)
def delete(session: Db, actor: CurrentActor, recipe_id: int) -> Response:
    """Forget it; runs keep what they were trained with."""
    delete_recipe(session, actor, require_own(session, actor, recipe_id))
    return RedirectResponse("/recipes", status_code=303)


def _with_errors(form: RecipeForm, error: Invalid | Conflict) -> RecipeForm:
    form.errors = {str(one.get("field", "")): str(one.get("message", "")) for one in error.details}
    form.errors.setdefault(error.field or "name", error.translated())
    return form


def _listed(row: OwnRecipe) -> Response:
    return RedirectResponse(f"/recipes#recipe-{row.id}", status_code=303)


def _form_page(
    request: Request,
    form: RecipeForm,
    *,
    row: OwnRecipe | None = None,
    tool: str = "",
    is_owner: bool = True,
    merged: Merged | None = None,
    is_gone: bool = False,
    status: int = 200,
) -> Response:
    context = {
        "form": form,
        "row": row,
        "tool": tool,
        "groups": FIELD_GROUPS,
        "is_owner": is_owner,
        "merged": merged,
        "is_gone": is_gone,
        "name_characters": NAME_CHARACTERS,
        "purpose_characters": PURPOSE_CHARACTERS,
    }
    return render(request, "recipes/form.html", context, status=status)
