"""The contract of the training config: each field is at every door, with one default, one range, one refusal."""

import html
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.errors import Invalid
from app.core.i18n import say, use_locale
from app.core.storage import Storage
from app.recipes.config import TrainingConfig, parse_config
from app.recipes.fields import FIELDS, ConfigField, display, displayed
from app.recipes.method import Method
from app.recipes.recipes import RECIPES, build_config
from app.recipes.setting import Section
from app.sentences import Failure, FailureCode
from tests.cli.conftest import LiveServer, live
from tests.support.people import Person, problem_of
from tests.support.training import make_check
from worker.work.child import run_job
from worker.work.protocol import Control

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
HTMX = {"HX-Request": "true"}
DEFAULTS = displayed(TrainingConfig())


def wrong_values(field: ConfigField) -> list[str]:
    """As somebody would type them: nonsense, and what lies just outside the range."""
    if field.choices:
        return ["perhaps"]
    if field.is_text:
        return ["\n".join(map(str, range(17)))]
    if not field.is_number:
        return [" , ", "q_proj,,v_proj"]
    assert field.maximum is not None, f"{field.name} has no upper limit"
    lowest = field.above if field.above is not None else (field.minimum or 0) - 1
    return ["lots", display(lowest), display(field.maximum * 2 + 1)]


CASES = [(name, value) for name, field in FIELDS.items() for value in wrong_values(field)]
CASES.append(("max_steps", "0"))


def refusal(name: str, value: str, locale: Any) -> str:
    """What the model itself says."""
    with pytest.raises(Invalid) as raised:
        parse_config({name: value})
    assert raised.value.field == name
    with use_locale(locale):
        said = raised.value.translated()
    assert name in said
    return said


@pytest.fixture
def check_id(app: FastAPI) -> int:
    with transaction(app.state.engine) as session:
        return make_check(session, app.state.storage).id or 0


def in_worker(config: dict[str, Any], tmp_path: Path) -> Failure:
    """The failure that the child process tells of a train job with this config."""
    told: list[dict[str, Any]] = []
    job = {"kind": "train", "input": {"config": config}, "output_dir": str(tmp_path / "out")}
    run_job(job, lambda kind, **fields: told.append({"event": kind, **fields}), Control())
    assert told[-1]["event"] == "failed"
    return Failure.from_json(told[-1])


def test_every_field_is_in_the_form_with_its_default_range_and_meaning(
    engineer: Person, check_id: int
) -> None:
    page = html.unescape(engineer.browser.get("/runs/new").text)
    for recipe in RECIPES:
        # As a person would type it: 0, and not 0.0.
        assert f"<dt>Dropout</dt><dd>{display(build_config(recipe.name).lora_dropout)}</dd>" in page
    for name, field in FIELDS.items():
        # Those of the method are one choice among three.
        if field.section is Section.METHOD:
            continue
        assert f'name="{name}"' in page
        assert field.meaning in page
        assert field.label in page
        for choice in field.choices:
            assert f"<option>{choice}</option>" in page
        if field.maximum is not None:
            assert f"Allowed: {field.allowed}." in page
        if not field.choices and not field.is_text:
            assert f'name="{name}" value="" placeholder="{DEFAULTS[name]}"' in page
    for method in Method:
        assert f'name="method" value="{method.value}"' in page
        assert method.purpose in page


def test_every_field_is_in_the_document_of_the_api_with_its_default_and_range(engineer: Person) -> None:
    schemas = engineer.api.get("/api/v1/openapi.json").json()["components"]["schemas"]
    config, changes = schemas["TrainingConfig"]["properties"], schemas["RunIn"]["properties"]["changes"]
    assert config.keys() == changes["properties"].keys() == FIELDS.keys()
    assert changes["additionalProperties"] is False
    for name, field in FIELDS.items():
        told = config[name]
        assert told["default"] == TrainingConfig.model_fields[name].default
        assert (told.get("minimum"), told.get("maximum")) == (field.minimum, field.maximum)
        assert (told["title"], told["description"], told["section"]) == (
            field.label,
            field.meaning,
            field.section.value,
        )
        assert changes["properties"][name] == {key: value for key, value in told.items() if key != "default"}


def test_every_field_is_listed_with_what_each_recipe_says(engineer: Person, live: LiveServer) -> None:
    told = {item["name"]: item["config"] for item in engineer.api.get("/api/v1/recipes").json()}
    assert told == {recipe.name: build_config(recipe.name).to_json() for recipe in RECIPES}
    listed = live.run("list", "recipes").stdout
    for name, field in FIELDS.items():
        assert name in listed
        assert field.maximum is None or field.allowed in listed
    assert live.run("list", "recipes", "--json").json[1]["config"] == TrainingConfig().to_json()


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_a_wrong_value_is_refused_in_the_same_words_by_form_rest_command_line_and_worker(
    engineer: Person, check_id: int, live: LiveServer, tmp_path: Path, locale: str
) -> None:
    live.run("import", str(_dialogue(tmp_path)), "--dataset", "Sales")
    spoken = {"Accept-Language": locale}
    terminal = "zh_CN.UTF-8" if locale == "zh-CN" else "en_US.UTF-8"
    for name, value in CASES:
        expected = refusal(name, value, locale)
        form = {"version": "1", "model": "1", "recipe": "standard", name: value}
        plan = engineer.browser.post("/runs/new/plan", data=form, headers={**HTMX, **spoken})
        assert f">{expected}</a>" in html.unescape(plan.text), (name, value)

        body = {"mask_check_id": check_id, "confirmed": True, "changes": {name: value}}
        answer = engineer.api.post("/api/v1/runs", json=body, headers=spoken)
        assert (answer.status_code, answer.json()["field"]) == (422, name)
        assert problem_of(answer) == expected
        assert answer.json()["errors"] == [{"field": name, "message": expected}]

        told = live.run(
            "train", "--dataset", "Sales", "--model", "bundled", "--set", f"{name}={value}", LANG=terminal
        )
        assert told.error == f"sft-studio: {expected}"

        failed = in_worker({name: value}, tmp_path)
        assert failed.code == FailureCode.CONFIG_INVALID
        with use_locale(locale):  # type: ignore[arg-type]
            assert say(failed.sentence) == expected


def test_the_largest_and_smallest_values_start_a_run(
    app: FastAPI, engineer: Person, check_id: int, storage: Storage
) -> None:
    numbers = {name: field for name, field in FIELDS.items() if field.maximum is not None}
    for place, edge in enumerate(("maximum", "minimum")):
        changes = {
            name: getattr(field, edge) for name, field in numbers.items() if getattr(field, edge) is not None
        }
        body = {"mask_check_id": check_id, "confirmed": True, "changes": changes}
        # As many steps of warm-up as there may be steps at all: that is said, and may be.
        body |= {"accepted_warnings": ["warm_up"]} if edge == "maximum" else {}
        run = engineer.api.post("/api/v1/runs", json=body, headers={"Idempotency-Key": f"edge-{place}"})
        assert run.status_code == 201, run.text
        assert {name: run.json()["config"][name] for name in changes} == changes


def test_how_long_samples_may_be_is_asked_of_the_mask_check_at_every_door(
    engineer: Person, check_id: int, live: LiveServer, tmp_path: Path
) -> None:
    said = "max_length belongs to the mask settings"
    body = {"mask_check_id": check_id, "confirmed": True, "changes": {"max_length": 512}}
    assert said in problem_of(engineer.api.post("/api/v1/runs", json=body))
    assert said in str(in_worker({"max_length": 512}, tmp_path).sentence)
    # The form and the command line have one max_length, which goes to the check.
    assert engineer.browser.get("/runs/new").text.count('name="max_length"') == 1
    live.run("import", str(_dialogue(tmp_path)), "--dataset", "Sales")
    told = live.run("train", "--dataset", "Sales", "--model", "bundled", "--set", "max_length=512")
    assert "approved" in told.error


def _dialogue(folder: Path) -> Path:
    path = folder / "one.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n'
    )
    return path
