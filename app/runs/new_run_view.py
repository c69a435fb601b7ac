"""What the form of a new run shows: everything that its page and its fragments read."""

import secrets
from typing import Annotated, Any, Final

from fastapi import Depends
from sqlmodel import Session
from starlette.datastructures import FormData

from app.base_models.service import ready_base_models
from app.core.database import let_go
from app.core.i18n import get_locale
from app.mask_checks.check_texts import REPORT_LABELS
from app.mask_settings.fields import MASK_FIELDS
from app.recipes.advice import Task
from app.recipes.continuing import ADAPTER_SHAPE
from app.recipes.fields import FIELD_GROUPS, FIELDS
from app.recipes.method import Method
from app.recipes.own import AppRecipes
from app.recipes.recipes import RECIPES, RecipeBook, build_config, values_of
from app.runs.backends import Backends, TheseBackends
from app.runs.form_checks import Checks
from app.runs.judging import AppJudging
from app.runs.new_run import DEFAULTS, NewRunForm, plan_form, versions_with_names
from app.runs.offers import offered_backends, offered_devices
from app.runs.pace import pace_of
from app.runs.placing import Place, place_for, placed
from app.runs.preflight.ground import TheseSurroundings
from app.runs.preflight.shown import shown_preflight
from app.runs.sweeps.planning import with_pace

NO_CHECKS: Final = Checks()


def form_of(posted: FormData, book: RecipeBook) -> NewRunForm:
    """What was submitted, by somebody who may name these recipes."""
    typed = {name: value for name, value in posted.items() if isinstance(value, str)}
    return NewRunForm.posted(typed, posted.getlist("suites"), book, posted.getlist("accepted"))


class FormView:
    """What a form meets here: the suites, the machine, other trainers on it, and the recipes of whoever asks."""

    def __init__(
        self,
        judging: AppJudging,
        surroundings: TheseSurroundings,
        backends: TheseBackends,
        book: AppRecipes,
    ) -> None:
        self.judging = judging
        self.surroundings = surroundings
        self.backends = backends
        self.book = book

    def placed(self, session: Session, wish: str) -> tuple[Place | None, Backends]:
        """Where a run with this wish is trained, as far as that is known, and the trainers as it meets them there."""
        place = place_for(session, self.surroundings.machine, wish)
        return place, placed(session, self.backends, wish)

    def part(self, session: Session, form: NewRunForm, checks: Checks = NO_CHECKS) -> dict[str, Any]:
        """Everything that the form's fragments read. The session only reads: it is let go on the way."""
        versions, models = versions_with_names(session), ready_base_models(session)
        by_id = {version.id: version for version, _name in versions}
        form.values["version"] = form.values["version"] or (str(versions[0][0].id) if versions else "")
        form.values["model"] = form.values["model"] or (str(models[0].id) if models else "")
        form.values["idempotency_key"] = form.values["idempotency_key"] or secrets.token_urlsafe(16)
        earlier = form.take_adapter(session)
        version, mixed = by_id.get(form.number("version")), by_id.get(form.number("mix_version"))
        model = next((model for model in models if model.id == form.number("model")), None)
        info = model.info if model else None
        model_id = form.number("model") or 0
        checks = checks.with_jobs(session)
        beside = checks.of_mixed(mixed if mixed is not version else None)
        wish = form.values["device"]
        place, backends = self.placed(session, wish)
        device = place.device if place else None
        plan, several = plan_form(form, version, checks.check, info, device, backends, beside)
        if several is None:
            pace = pace_of(session, model_id, plan)
        else:
            several, pace = with_pace(session, several, model_id)
        plans = [(member.said, member.plan) for member in several.members] if several else []
        let_go(session)
        mixed_in = beside.version if beside else None
        ground = self.surroundings.ground(version, mixed_in, checks.check, checks.beside).at(place, wish)
        return {
            **shown_preflight(form, version, model, checks, plans or [("", plan)], ground, beside),
            "form": form,
            "versions": versions,
            "models": models,
            "version": version,
            "model": model,
            "methods": list(Method),
            "backends": offered_backends(self.backends, form.values["backend"]),
            "mask_fields": MASK_FIELDS,
            "arguments": form.offer_arguments(session),
            "groups": FIELD_GROUPS,
            "fields": FIELDS,
            "earlier": earlier,
            "locked": ADAPTER_SHAPE if earlier else (),
            "suites": [
                (suite.name, suite.title_in(get_locale()), suite.prompts) for suite in self.judging.suites()
            ],
            "plan": plan,
            "tasks": list(Task),
            "devices": offered_devices(session, form.values["device"]),
            "several": several,
            "pace": pace,
            **checks.shown(),
            "check_error": form.errors.get("mask_check_id"),
            "check_labels": REPORT_LABELS,
            # What another tool's config said, where the form begins with one.
            "foreign": None,
            # Whether only the plan is rendered, beside a form that has the rest.
            "is_plan": False,
        }

    def whole(self, session: Session, form: NewRunForm, checks: Checks = NO_CHECKS) -> dict[str, Any]:
        """What the whole form reads: the recipes as well, and every field as typed by recipe and method, for what an empty one
        stands for.

        Of own recipes only what they have otherwise than the standard.
        """
        context = self.part(session, form, checks)
        values = {
            recipe.name: {method.value: values_of(recipe, method) for method in Method} for recipe in RECIPES
        }
        standard = values[DEFAULTS["recipe"]]
        for recipe in form.book.own:
            of_method = {method.value: values_of(recipe, method) for method in Method}
            values[recipe.name] = {
                method: {name: text for name, text in own.items() if text != standard[method][name]}
                for method, own in of_method.items()
            }
        chosen = values.get(form.values["recipe"])
        return {
            **context,
            "recipes": [(recipe, build_config(recipe)) for recipe in form.book.recipes],
            "recipe_values": values,
            "standard": DEFAULTS["recipe"],
            "shown_values": {**standard[form.method.value], **chosen[form.method.value]} if chosen else {},
        }


View = Annotated[FormView, Depends()]
