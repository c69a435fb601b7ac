"""REST for recipes: the built-in ones to be read, own ones to be kept."""

from fastapi import Response
from fastapi.responses import PlainTextResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.i18n import say
from app.core.routing import Router
from app.core.web import Db
from app.recipe_book.listing import list_recipes, look_at
from app.recipe_book.merging import merged_draft
from app.recipe_book.schemas import (
    RecipeChangeIn,
    RecipeFieldOut,
    RecipeFileIn,
    RecipeImportedOut,
    RecipeIn,
    RecipeOut,
)
from app.recipe_book.sources import settings_of_recipe, settings_of_run
from app.recipes.fields import FIELDS
from app.recipes.foreign import read_sound
from app.recipes.own import (
    AppRecipes,
    RecipeDraft,
    change_recipe,
    delete_recipe,
    recipe_of,
    require_own,
    save_recipe,
)
from app.recipes.own_file import draft_of_file, write_recipe
from app.recipes.recipes import BUILT_IN
from app.runs.judging import AppJudging
from app.runs.service import require_run

router = Router(prefix="/api/v1", tags=["runs"])


@router.get("/recipes")
@needs(Permission.RECIPE_READ)
def get_recipes(session: Db, actor: CurrentActor, judging: AppJudging) -> list[RecipeOut]:
    """The built-in recipes, shared ones and one's own, each with what came of the runs that used it."""
    return [RecipeOut.of(one) for one in list_recipes(session, actor, judging)]


@router.get("/recipe-fields")
@needs(Permission.RECIPE_READ)
def get_fields() -> list[RecipeFieldOut]:
    """Every field that a recipe may set: what it means, when to change it, its limits and its default, in the reader's language."""
    return [RecipeFieldOut.of(field) for field in FIELDS.values()]


@router.post("/recipes", status_code=201)
@needs(Permission.RECIPE_SAVE)
def add_recipe(
    session: Db, actor: CurrentActor, judging: AppJudging, book: AppRecipes, body: RecipeIn
) -> RecipeOut:
    """Save a recipe. Names are there once, whether in upper or lower case."""
    settings = settings_of_recipe(book.require(body.like)) if body.like is not None else {}
    if body.run_id is not None:
        settings |= settings_of_run(require_run(session, body.run_id))
    draft = RecipeDraft(body.name, body.purpose, {**settings, **body.settings}, body.shared)
    return RecipeOut.of(look_at(session, actor, judging, save_recipe(session, actor, draft)))


@router.post("/recipes/import", status_code=201)
@needs(Permission.RECIPE_SAVE)
def import_recipe(
    session: Db, actor: CurrentActor, judging: AppJudging, body: RecipeFileIn
) -> RecipeImportedOut:
    """Save what a file says as a recipe; what of it means nothing here is told key by key."""
    read = read_sound(body.config)
    row = save_recipe(session, actor, draft_of_file(read, body.name, body.purpose, body.shared))
    recipe = RecipeOut.of(look_at(session, actor, judging, row))
    return RecipeImportedOut(recipe=recipe, tool=read.tool, notes=[say(note) for note in read.notes])


@router.get("/recipes/{name}")
@needs(Permission.RECIPE_READ)
def get_recipe(session: Db, actor: CurrentActor, judging: AppJudging, name: str) -> RecipeOut:
    """One of them."""
    if BUILT_IN.find(name) is None:
        return RecipeOut.of(look_at(session, actor, judging, require_own(session, actor, name)))
    wanted = BUILT_IN.require(name).name
    return next(RecipeOut.of(one) for one in list_recipes(session, actor, judging) if one.name == wanted)


@router.get("/recipes/{name}/export", response_class=PlainTextResponse)
@needs(Permission.RECIPE_READ)
def export_recipe(session: Db, actor: CurrentActor, name: str) -> PlainTextResponse:
    """The recipe as a YAML file, which can be imported again, here or in another installation."""
    recipe = BUILT_IN.find(name) or recipe_of(require_own(session, actor, name))
    return PlainTextResponse(write_recipe(recipe), media_type="application/yaml")


@router.patch("/recipes/{name}")
@needs(Permission.RECIPE_SAVE)
def patch_recipe(
    session: Db, actor: CurrentActor, judging: AppJudging, name: str, body: RecipeChangeIn
) -> RecipeOut:
    """Change an own or a shared recipe. Runs that used it keep what they were trained with."""
    row = require_own(session, actor, name)
    draft, version = merged_draft(body, row)
    changed = change_recipe(session, actor, row, draft, version=version)
    return RecipeOut.of(look_at(session, actor, judging, changed))


@router.delete("/recipes/{name}", status_code=204)
@needs(Permission.RECIPE_SAVE)
def remove_recipe(session: Db, actor: CurrentActor, name: str) -> Response:
    """Delete a recipe. Runs that used it keep its name and what they were trained with."""
    delete_recipe(session, actor, require_own(session, actor, name))
    return Response(status_code=204)
