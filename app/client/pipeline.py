"""The steps from a dataset's name to a finished run, for `train` and for the demo: the same doors everybody uses."""

import json
import math
import re
import secrets
from pathlib import Path
from typing import Any, Final

from app.accounts.service import name_key
from app.base_models.schemas import BaseModelOut
from app.base_models.service import BUNDLED_NAME
from app.client.rest import StudioClient
from app.client.waiting import Listener, require_success, wait_for_job
from app.core.console import CommandFailed
from app.core.i18n import gettext as _
from app.curation.schemas import DatasetOut
from app.mask_checks.schemas import MaskCheckOut
from app.mask_settings.fields import MASK_FIELD_NAMES, parse_settings
from app.recipes.config import TrainingConfig, parse_config
from app.versions.schemas import VersionOut

_SHOWN_FAILURES: Final = 3
# What a full fine-tune made, as a base model.
_OF_A_RUN: Final = re.compile(r"run:(\d{1,9})")


class MaskCheckRed(CommandFailed):
    """The mask check found something wrong, so nothing is trained. `check` holds the report."""

    def __init__(self, message: str, check: MaskCheckOut) -> None:
        super().__init__(message)
        self.check = check


def find_dataset(client: StudioClient, name: str) -> DatasetOut | None:
    """The dataset of this name, if any."""
    return next(iter(client.datasets(name)), None)


def require_dataset(client: StudioClient, name: str) -> DatasetOut:
    """The dataset of this name, or a sentence saying how to make one."""
    found = find_dataset(client, name)
    if found is None:
        raise CommandFailed(
            _("There is no dataset “%(name)s”. Make it with “sft-studio import FILE --dataset NAME”.")
            % {"name": name}
        )
    return found


def parse_changes(pairs: list[str]) -> dict[str, Any]:
    """`key=value` pairs. Values are read as JSON where they are JSON (numbers, true, lists), else as text."""
    changes: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise CommandFailed(
                _("--set wants key=value, as in --set learning_rate=2e-4; “%(pair)s” is not that.")
                % {"pair": pair}
            )
        if key in changes:
            raise CommandFailed(_("--set names %(key)s twice. Keep one of them.") % {"key": key})
        try:
            changes[key] = json.loads(text, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):
            changes[key] = text.strip()
    return changes


def _finite(text: str) -> float:
    """Raises ValueError for what no request can hold: NaN, and 1e400. The server says what is wrong with the text."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def mixing_changes(pairs: list[str], share: float | None, order: str) -> dict[str, Any]:
    """`key=value` pairs and the two options that are short for such; each field is named once."""
    short = {"mix_share": share, "mix_order": order or None}
    given = {name: value for name, value in short.items() if value is not None}
    changes = parse_changes(pairs)
    for name in given:
        if name in changes:
            raise CommandFailed(
                _("%(key)s is given by --set and by an option of its own. Keep one of them.") % {"key": name}
            )
    return {**changes, **given}


def require_mix(client: StudioClient, text: str, trained: DatasetOut, *, freezes: bool = False) -> VersionOut:
    """The version that `DATASET` or `DATASET@NUMBER` names; without a number the newest. Where there is none, what is
    approved is frozen by those who start something (`freezes`). Refuses the dataset that is `trained` itself, unless a number
    names an earlier version of it.
    """
    found, number = find_dataset(client, text), ""
    if found is None and "@" in text:
        name, _at, number = text.rpartition("@")
        found = find_dataset(client, name)
    if found is None:
        raise CommandFailed(
            _(
                "--mix: there is no dataset “%(name)s”. Name one that has a frozen version, as in General or General@2."
            )
            % {"name": text}
        )
    if found.id == trained.id and not number:
        raise CommandFailed(_itself_mixed())
    versions = client.versions(found.id)
    if not versions and not number:
        if freezes:
            return client.freeze(found.id)
        raise CommandFailed(
            _(
                "--mix: “%(name)s” has no frozen version. Freeze what is approved on its page, or start with “train” or "
                "“sweep”, which freeze it."
            )
            % {"name": found.name}
        )
    wanted = [one for one in versions if not number or str(one.number) == number.removeprefix("v")]
    if not wanted:
        raise CommandFailed(
            _("--mix: “%(name)s” has no such frozen version. There are: %(numbers)s.")
            % {"name": found.name, "numbers": ", ".join(str(one.number) for one in versions) or "–"}
        )
    return max(wanted, key=lambda one: one.number)


def require_other(version_id: int, beside: VersionOut | None) -> None:
    """Refuse to mix a version in with itself."""
    if beside is not None and beside.id == version_id:
        raise CommandFailed(_itself_mixed())


def _itself_mixed() -> str:
    return _(
        "--mix: a version cannot be mixed in with itself. Name another dataset, or another version of this one, as in General@2."
    )


def split_changes(changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`--set` names of mask settings, and every other, which belongs to the training config."""
    masks = {key: value for key, value in changes.items() if key in MASK_FIELD_NAMES}
    return masks, {key: value for key, value in changes.items() if key not in MASK_FIELD_NAMES}


def check_recipe(client: StudioClient, recipe: str, changes: dict[str, Any]) -> None:
    """Refuse an unknown recipe, field or value before any work is done."""
    recipes = [item.name for item in client.recipes()]
    # The server knows whether an own one can be used, and which names are the same.
    if name_key(recipe) not in map(name_key, recipes):
        raise CommandFailed(
            _("There is no recipe “%(name)s”. Use one of: %(names)s.")
            % {"name": recipe, "names": ", ".join(recipes)}
        )
    known = {*TrainingConfig.model_fields, *MASK_FIELD_NAMES}
    for key in changes:
        if key not in known:
            raise CommandFailed(
                _("--set: there is no setting “%(key)s”. There are: %(known)s.")
                % {"key": key, "known": ", ".join(sorted(known))}
            )
    # Values are the server's to judge; what this program can judge itself fails at once.
    parse_settings(split_changes(changes)[0])
    parse_config({key: value for key, value in changes.items() if key in TrainingConfig.model_fields})


def ensure_base_model(client: StudioClient, reference: str, listen: Listener) -> BaseModelOut:
    """The model by id, name, hub id, folder or the run that made it, registered and prepared if it is not."""
    return prepared_base_model(client, begin_base_model(client, reference), listen)


def prepared_base_model(client: StudioClient, model: BaseModelOut, listen: Listener) -> BaseModelOut:
    """The model once the preparation that it was found with has ended. Raises JobEnded where that failed."""
    if model.is_ready:
        return model
    if model.job is None:
        raise CommandFailed(_("The base model “%(name)s” is not being prepared.") % {"name": model.name})
    what = _("Preparing the base model “%(name)s”") % {"name": model.name}
    wait_for_job(client, model.job, listen, what=what)
    return client.base_model(model.id)


def begin_base_model(
    client: StudioClient, reference: str, *, name: str = "", revision: str | None = None
) -> BaseModelOut:
    """The same without waiting: a model that is not ready is being prepared, again where that failed. Name and revision are for one
    that is new here, or could not be prepared; CommandFailed where another is known by that reference.
    """
    made_by, name = _OF_A_RUN.fullmatch(reference), name.strip()
    if made_by and revision:
        raise CommandFailed(_("--revision is for models of the hub: what a run made has none."))
    model = None if made_by else find_base_model(client, reference)
    if made_by:
        model = client.use_run_as_base(int(made_by[1]), name=name)
    elif model is None:
        source, place = _source_of(reference)
        model = client.add_base_model(source, place, name=name, revision=revision)
    elif revision and not model.is_ready:
        model = client.add_base_model(model.source, model.reference, revision=revision)
    if (name and model.name != name) or (revision and model.revision != revision):
        raise CommandFailed(
            _(
                "“%(name)s” is here already, of revision %(revision)s: leave --name and --revision out, or remove it first with "
                "“sft-studio models remove”."
            )
            % {"name": model.name, "revision": model.revision or "–"}
        )
    # Harmless where it is under way, and tries again what failed.
    return model if model.is_ready else client.retry_base_model(model.id)


def require_known_base_model(client: StudioClient, reference: str) -> BaseModelOut:
    """A model that is registered, ready or not, or a sentence saying where they are named."""
    model = find_base_model(client, reference)
    if model is None:
        raise CommandFailed(
            _("There is no base model “%(name)s” here. “sft-studio models list” names them.")
            % {"name": reference}
        )
    return model


def check_base_model(client: StudioClient, reference: str) -> None:
    """Refuse a name that means no model, before anything is frozen or prepared."""
    if find_base_model(client, reference) is None and not _OF_A_RUN.fullmatch(reference):
        _source_of(reference)


def require_base_model(client: StudioClient, reference: str) -> BaseModelOut:
    """A model that is registered and ready, or a sentence saying how to make it so."""
    model = find_base_model(client, reference)
    if model is None or not model.is_ready:
        raise CommandFailed(
            _(
                "The base model “%(name)s” is not ready here. Prepare it with “sft-studio models prepare”, or let “sft-studio train” do so."
            )
            % {"name": reference}
        )
    return model


def find_base_model(client: StudioClient, reference: str) -> BaseModelOut | None:
    """The model of this name, reference or id, if any; ready or not."""
    models = client.base_models()
    called = {reference, BUNDLED_NAME} if reference == "bundled" else {reference}
    for model in models:
        if called & {model.name, model.reference}:
            return model
    return next((model for model in models if reference == str(model.id)), None)


def _source_of(reference: str) -> tuple[str, str]:
    if reference in ("bundled", BUNDLED_NAME):
        return "bundled", BUNDLED_NAME
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return "local", str(folder.resolve())
    if folder.is_absolute() or reference.startswith(("./", "../", "~")):
        return "local", reference
    if reference.count("/") == 1:
        return "hub", reference
    raise CommandFailed(
        _(
            "There is no base model “%(name)s”. Name one of the server's, a hub id such as org/name, or a folder."
        )
        % {"name": reference}
    )


def require_green_check(
    client: StudioClient, version_id: int, base_model_id: int, settings: dict[str, Any], listen: Listener
) -> MaskCheckOut:
    """The finished mask check. Raises MaskCheckRed with the first failures."""
    check = client.request_mask_check(version_id, base_model_id, settings)
    if check.job.state.is_final:
        require_success(check.job, what=_("The mask check"))
    else:
        wait_for_job(client, check.job, listen, what=_("The mask check"))
    check = client.mask_check(check.id)
    if not check.passed:
        raise MaskCheckRed(
            _("The mask check is red, so nothing was trained: %(failures)s. See %(url)s.")
            % {
                "failures": "; ".join(failed_checks(check)[:_SHOWN_FAILURES]) or _("see its report"),
                "url": client.page(f"/mask-checks/{check.id}"),
            },
            check,
        )
    return check


def failed_checks(check: MaskCheckOut) -> list[str]:
    """What failed, one short text each: conversation by conversation where the report says so."""
    report = check.report
    if report is None:
        return []
    named = [
        _("conversation %(id)s, %(check)s: %(detail)s")
        % {"id": failure.conversation_id, "check": failure.check, "detail": failure.detail}
        for failure in report.failures
    ]
    return named or [one.name for one in report.checks if not one.passed]


def new_idempotency_key() -> str:
    """A key of one start: sending the start twice makes one run."""
    return f"cli-{secrets.token_urlsafe(16)}"
