"""Every mask setting is at every door, by one name and with one default; so one that is added cannot be forgotten."""

import json
import re
from dataclasses import fields, replace
from typing import Any

import pytest
import typer
from fastapi import FastAPI

from app.cli.masks.command import app as masks
from app.cli.masks.options import settings_of
from app.client.pipeline import split_changes
from app.core.database import transaction
from app.core.errors import Invalid
from app.core.i18n import use_locale
from app.mask_settings.fields import (
    MASK_FIELDS,
    Kind,
    MaskField,
    MaskSettingsIn,
    parse_settings,
    read_settings,
    write_settings,
)
from app.mask_settings.words import settings_in_brief, settings_in_words
from app.masking import MaskSettings
from tests.previews.conftest import MakeConversation, MakeModel, make, make_model
from tests.support.people import Person
from tests.support.training import make_version

__all__ = ["make", "make_model"]
NAMES = [one.name for one in fields(MaskSettings)]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ASKS = "{% if tone is defined %}{{ tone }}{% endif %}" + (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
each_field = pytest.mark.parametrize("field", MASK_FIELDS, ids=NAMES)


def unusual(field: MaskField) -> Any:
    """A value that is not the default."""
    if field.kind is Kind.CHOICE:
        other = next(word for word in field.words if word != str(field.default).lower())
        return getattr(MaskSettingsIn.model_validate({field.name: other}), field.name)
    return 7 if field.kind is Kind.NUMBER else {"tone": 'say "7"'}


def test_the_table_holds_every_setting_with_the_default_of_masking() -> None:
    assert [one.name for one in MASK_FIELDS] == NAMES
    assert MaskSettingsIn().to_settings() == parse_settings({}) == read_settings({}) == MaskSettings()
    assert all(one.is_usual(MaskSettings()) for one in MASK_FIELDS)


@each_field
def test_a_setting_survives_form_address_and_storage(field: MaskField) -> None:
    chosen = replace(MaskSettings(), **{field.name: unusual(field)})
    assert chosen != MaskSettings()
    assert read_settings(write_settings(chosen)) == chosen
    short = write_settings(chosen, usual_too=False)
    assert len(short) == 1
    assert read_settings(short) == chosen
    assert MaskSettings.from_json(chosen.to_json()) == chosen
    assert MaskSettingsIn.of(chosen).to_settings() == chosen
    assert field.name in json.loads(chosen.to_json())


@each_field
def test_a_setting_is_on_the_form_of_the_preview_and_of_a_new_run(
    field: MaskField,
    app: FastAPI,
    annotator: Person,
    engineer: Person,
    make: MakeConversation,
    make_model: MakeModel,
) -> None:
    make_model("asks", ASKS)
    with transaction(app.state.engine) as session:
        make_version(session, app.state.storage, name="Others")
    written = field.as_fields(MaskSettings()) or {"argument.tone": ""}
    for page in (annotator.browser.get(f"/conversations/{make()}/mask"), engineer.browser.get("/runs/new")):
        assert page.status_code == 200
        for name, text in written.items():
            found = re.search(
                rf'<(?:select|input)[^>]* name="{re.escape(name)}"[^>]*>(?:.*?</select>)?', page.text, re.S
            )
            assert found is not None
            if field.kind is Kind.CHOICE:
                assert f'value="{text}"' in page.text


@each_field
def test_a_setting_is_in_the_openapi_document_with_its_default(field: MaskField, engineer: Person) -> None:
    schemas = engineer.api.get("/api/v1/openapi.json").json()["components"]["schemas"]
    found = schemas["MaskSettingsIn"]["properties"][field.name]
    assert found["description"] == field.help
    expected = json.loads(MaskSettingsIn().model_dump_json())[field.name]
    assert found.get("default") == (expected if expected != {} else None)


@each_field
@pytest.mark.parametrize("name", ["preview", "verify"])
def test_a_setting_is_an_option_of_both_commands(field: MaskField, name: str) -> None:
    group: Any = typer.main.get_command(masks)
    command = group.commands[name]
    option = next(one for one in command.params if one.name == field.name)
    declared = {*option.opts, *option.secondary_opts}
    assert declared == {part for text in field.options for part in text.split("/")}
    defaults = {one.name: one.default for one in command.params}
    assert settings_of({one.name: defaults[one.name] for one in MASK_FIELDS}) == MaskSettings()


@each_field
def test_train_sets_it_by_its_name(field: MaskField) -> None:
    masks_part, config_part = split_changes({field.name: 1, "learning_rate": 1e-4})
    assert (masks_part, config_part) == ({field.name: 1}, {"learning_rate": 1e-4})


@each_field
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_a_setting_is_said_in_both_languages(field: MaskField, locale: Any) -> None:
    chosen = replace(MaskSettings(), **{field.name: unusual(field)})
    with use_locale(locale):
        said = settings_in_words(chosen)[NAMES.index(field.name)]
        assert said.text
        assert said.text in settings_in_brief(chosen)
        usual = settings_in_words(MaskSettings())[NAMES.index(field.name)]
        assert usual.text != said.text
        assert usual.label == said.label
        if locale == "zh-CN":
            assert CHINESE.search(said.label)
            assert field.kind is not Kind.CHOICE or CHINESE.search(said.text)


def test_each_wrong_value_is_one_sentence_that_names_the_setting() -> None:
    for name, text, sentence in (
        ("train_on", "user", "Strategy: choose one of assistant, last_assistant, content, all."),
        ("train_reasoning", "maybe", "Thinking: choose one of true, false."),
        (
            "max_length",
            "0",
            "Length limit: enter a whole number from 1 to 1,000,000, or nothing for no limit.",
        ),
        ("argument.messages", "x", "The template argument “messages” is set by every rendering itself"),
    ):
        with pytest.raises(Invalid, match=re.escape(sentence)) as raised:
            read_settings({name: text})
        assert raised.value.field in (name, "template_arguments")
    with pytest.raises(Invalid, match="There is no mask setting “max_len”"):
        parse_settings({"max_len": 5})
