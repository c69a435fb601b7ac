"""A new run that begins with another tool's config: the page that takes it, and the form filled in as it says."""

from fastapi import Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.database import reading
from app.core.errors import Invalid
from app.core.i18n import say
from app.core.routing import Router
from app.core.templating import render
from app.core.web import AppEngine
from app.recipes.fields import display
from app.recipes.foreign import TITLES
from app.recipes.given import GivenConfig, blank
from app.runs.new_run import NewRunForm
from app.runs.new_run_view import View

router = Router(prefix="/runs/new/config", include_in_schema=False)


@router.get("", response_model=None)
@needs(Permission.RUN_START)
def config_page(request: Request) -> Response:
    """Choose or paste a config of another tool."""
    return render(request, "runs/config.html", blank())


@router.post("", response_model=None)
@needs(Permission.RUN_START)
def begin_with_config(request: Request, engine: AppEngine, view: View, given: GivenConfig) -> Response:
    """The form, filled in as another tool's config says, with a note for each reason for which keys are left out."""
    try:
        read = given.read()
    except Invalid as error:
        return render(request, "runs/config.html", given.shown(error), status=error.status)
    form = NewRunForm.linked({name: display(value) for name, value in read.values.items()}, view.book)
    with reading(engine) as session:
        context = view.whole(session, form)
    foreign = {
        "tool": TITLES[read.tool],
        "taken": len(read.values),
        "notes": [say(note) for note in read.notes],
    }
    return render(request, "runs/new.html", {**context, "foreign": foreign})
