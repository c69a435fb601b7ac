"""The form of a new run: what was typed, kept as typed, and what it asks for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlmodel import Session, select

from app.base_models.facts import ModelFacts
from app.core.errors import Invalid, StudioError
from app.core.typed import typed_whole
from app.datasets.models import Dataset
from app.jobs.devices import ANY
from app.mask_checks.models import MaskCheck
from app.mask_settings.arguments import (
    PREFIX,
    Offered,
    offered_arguments,
    typed_arguments,
    write_arguments,
)
from app.mask_settings.fields import read_settings, write_settings
from app.mask_settings.tokenizers import readable_arguments, tokenizer_of
from app.masking import MaskSettings
from app.recipes.advice import Task
from app.recipes.axes import Axis, axes_of, read_lines, require_apart
from app.recipes.continuing import ADAPTER_SHAPE
from app.recipes.fields import FIELDS, display, displayed
from app.recipes.method import METHOD_FIELDS, Method
from app.recipes.recipes import BUILT_IN, RecipeBook, build_config
from app.runs.alike import STANDARD, recipe_like
from app.runs.backends import Backends
from app.runs.device import Device
from app.runs.further import require_adapter, shape_of
from app.runs.mixing import Beside
from app.runs.models import Run
from app.runs.planning import Choice, Plan, make_plan
from app.runs.service import RunRequest
from app.runs.sweeps.planning import SweepPlan, plan_sweep
from app.sentences import N_
from app.versions.models import DatasetVersion
from app.versions.service import list_versions

DEFAULTS: Final = {
    "version": "",
    "model": "",
    "mix_version": "",
    "recipe": STANDARD,
    "task": "",
    **write_settings(MaskSettings()),
    "name": "",
    # The run whose adapter this one begins with.
    "init_adapter": "",
    "mask_check_id": "",
    "mix_check_id": "",
    "confirmed": "",
    "override_reason": "",
    "idempotency_key": "",
    # What is varied besides fields with several values, a line each.
    "together": "",
    "device": ANY,
    **dict.fromkeys(FIELDS, ""),
}


def _of_method(name: object) -> dict[str, str]:
    """A method's fields as one would type them; nothing for what is no method."""
    if name not in set(Method):
        return {}
    return {field: display(value) for field, value in Method(str(name)).fields.items()}


def _typed(values: Mapping[str, str]) -> dict[str, str]:
    """What was sent, without empty fields of the method, which the choice of a method fills."""
    return {name: value for name, value in values.items() if value or name not in METHOD_FIELDS}


@dataclass
class NewRunForm:
    """`values` as typed, all of `DEFAULTS`; `suites` to judge on afterwards; `accepted` warnings; `errors` by field.

    `arguments` of the chat template by name, as typed; `unread` were left out, for the model's does not read them.
    """

    values: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    suites: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list, kw_only=True)
    arguments: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    # The recipes that whoever fills it in may name.
    book: RecipeBook = BUILT_IN

    @classmethod
    def posted(
        cls,
        form: Mapping[str, str],
        suites: Iterable[Any],
        book: RecipeBook = BUILT_IN,
        accepted: Iterable[Any] = (),
    ) -> "NewRunForm":
        """From a submitted form. A box that is not sent is not ticked."""
        values = {
            name: str(form.get(name, "" if name == "confirmed" else default))[:1000]
            for name, default in DEFAULTS.items()
        }
        return cls(
            {**dict.fromkeys(METHOD_FIELDS, ""), **_of_method(form.get("method")), **_typed(values)},
            [str(suite) for suite in suites][:10],
            typed_arguments(form),
            accepted=[str(name)[:80] for name in accepted][:50],
            book=book,
        )

    @classmethod
    def linked(cls, query: Mapping[str, str], book: RecipeBook = BUILT_IN) -> "NewRunForm":
        """From a link: known names only."""
        known = {name: value[:1000] for name, value in query.items() if name in DEFAULTS}
        for private in ("mask_check_id", "mix_check_id", "confirmed", "override_reason", "idempotency_key"):
            known.pop(private, None)
        return cls(
            {**DEFAULTS, **_of_method(query.get("method")), **known},
            arguments=typed_arguments(query),
            book=book,
        )

    @classmethod
    def like(cls, run: Run, check: MaskCheck, book: RecipeBook = BUILT_IN) -> "NewRunForm":
        """The same again: what differs from the recipe as it is now becomes a typed-in value. Where it is gone, from the
        standard.
        """
        base, config, names = recipe_like(run, book)
        typed = displayed(config)
        values = DEFAULTS | {name: typed[name] for name in names}
        settings = check.settings.to_settings()
        values |= {name: text for name, text in write_settings(settings).items() if name in DEFAULTS}
        values |= {
            "version": str(run.dataset_version_id),
            "model": str(run.base_model_id),
            "mix_version": str(run.mix_version_id or ""),
            "recipe": base.name,
            **_of_method(run.config.method.value),
        }
        if run.begins and run.begins.how == "adapter":
            values["init_adapter"] = str(run.begins.run_id)
        arguments = write_arguments(settings.template_arguments)
        return cls(values, list(run.evaluate_with), arguments, book=book)

    @property
    def method(self) -> Method:
        """What the form trains: as chosen, else as the recipe says."""
        said = {
            name: self.values[name].strip() == "true" for name in METHOD_FIELDS if self.values[name].strip()
        }
        try:
            config = build_config(self.book.require(self.values["recipe"]))
        except Invalid:
            return Method.of(**{"use_peft": True, "load_in_4bit": False, **said})
        return Method.of(**{name: said.get(name, getattr(config, name)) for name in METHOD_FIELDS})

    def changes(self) -> dict[str, str]:
        """The fields that were typed in, for the recipe's config."""
        return {name: self.values[name].strip() for name in FIELDS if self.values[name].strip()}

    def axes(self) -> tuple[dict[str, str], list[Axis]]:
        """The fields that have one value, and what is varied. Raises Invalid naming the field."""
        single, axes = axes_of(self.changes())
        axes += read_lines(self.values["together"])
        require_apart(single, axes)
        return single, axes

    def choice(self) -> Choice:
        """What the form asks a plan of, without what is varied."""
        task = self.values["task"]
        chosen = Task(task) if task in set(Task) else None
        try:
            changes, _axes = self.axes()
        except Invalid:
            changes = self.changes()
        locked = ADAPTER_SHAPE if self.values["init_adapter"].strip() else ()
        return Choice(self.values["recipe"], changes, chosen, self.book, locked)

    def take_adapter(self, session: Session) -> Run | None:
        """The run whose adapter it begins with, of which the form takes base model and shape; None from the base model."""
        typed = self.values["init_adapter"].strip()
        if not typed:
            return None
        try:
            run = require_adapter(session, self.number("init_adapter") or 0, self.number("model") or 0)
        except Invalid as error:
            self.errors["init_adapter"] = error.translated()
            return None
        self.values |= {name: display(value) for name, value in shape_of(run).items()}
        return run

    def mask_settings(self) -> MaskSettings:
        """The mask settings. Raises Invalid naming the field."""
        given = {f"{PREFIX}{name}": text for name, text in self.arguments.items()}
        return read_settings({**self.values, **given})

    def offer_arguments(self, session: Session) -> list[Offered]:
        """What the model's template can be told; of what was given, the rest is left out and said to be."""
        try:
            tokenizer = tokenizer_of(session, self.number("model") or 0)
            known = readable_arguments(tokenizer)
        except StudioError:  # the mask check says what is wrong with the model
            return offered_arguments(None, self.arguments)
        self.unread += [name for name in self.arguments if name not in known]
        self.arguments = {name: text for name, text in self.arguments.items() if name not in self.unread}
        return offered_arguments(tokenizer, self.arguments)

    def request(self, check: MaskCheck, beside: MaskCheck | None) -> RunRequest:
        """What the form asks to start."""
        assert check.id is not None
        return RunRequest(
            mask_check_id=check.id,
            mix_check_id=beside.id if beside else None,
            recipe=self.values["recipe"],
            changes=self.choice().changes,
            name=self.values["name"],
            init_adapter=self.number("init_adapter"),
            confirmed=bool(self.values["confirmed"]),
            override_reason=self.values["override_reason"],
            evaluate_with=tuple(self.suites),
            idempotency_key=self.values["idempotency_key"],
            accepted_warnings=tuple(self.accepted),
            device=self.values["device"],
        )

    def is_about(self, check: MaskCheck, version: str = "version") -> bool:
        """Whether the check is of the model and the version that are chosen, the one in the field of that name."""
        chosen = (self.number(version), self.number("model"))
        return chosen == (check.dataset_version_id, check.base_model_id)

    def number(self, name: str) -> int | None:
        """An id that was chosen, if it is one."""
        return typed_whole(self.values[name], digits=17)


def require_sound(
    form: NewRunForm, version: DatasetVersion, facts: ModelFacts, device: Device | None, backends: Backends
) -> None:
    """Refuses a config with mistakes; `form.errors` then names them by field."""
    form.errors |= plan_form(form, version, None, facts, device, backends)[0].errors
    if form.errors:
        raise Invalid(N_("Some fields need a look."), field="start")


def plan_form(
    form: NewRunForm,
    version: DatasetVersion | None,
    check: MaskCheck | None,
    facts: ModelFacts | None,
    device: Device | None,
    backends: Backends,
    beside: Beside | None = None,
) -> tuple[Plan, SweepPlan | None]:
    """The plan of the run that the form asks for; of several runs the first one's, with the errors of all, and all of them."""
    try:
        _single, axes = form.axes()
    except Invalid as error:
        return Plan(errors={error.field or "together": error.translated()}), None
    if not axes:
        return make_plan(form.choice(), version, check, facts, device, backends, beside), None
    several = plan_sweep(form.choice(), axes, version, check, facts, device, backends, beside)
    first = several.members[0].plan if several.members else Plan()
    return replace(first, errors=several.errors, advice=[]), several


def versions_with_names(session: Session) -> list[tuple[DatasetVersion, str]]:
    """All versions, newest first, each with its dataset's name."""
    names = {dataset.id: dataset.name for dataset in session.exec(select(Dataset))}
    return [(version, names.get(version.dataset_id, "")) for version in list_versions(session)]
