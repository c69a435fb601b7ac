"""Every failure that the worker can raise, read where people read it: on a page, from REST, on the command line."""

import html
import re
from collections.abc import Iterable

import pytest
from fastapi import FastAPI
from sqlmodel import Session

from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.work import PreparePayload
from app.core.database import transaction
from app.core.i18n import translations
from app.jobs.models import Job, JobKind, JobState
from app.sentences import Failure, FailureCode, Sentence
from tests.cli.conftest import LiveServer
from tests.support.failures import Found, failures
from tests.support.people import Person, visible_text

# The worker's two sides, and whatever its handlers and its children call.
FOLDERS = (
    "worker",
    "app/masking",
    "app/jobs",
    "app/base_models",
    "app/dialogue",
    "app/evaluations",
    "app/exports",
    "app/imports",
    "app/interchange",
    "app/interop",
    "app/mask_checks",
    "app/mask_settings",
    "app/playground",
    "app/recipes",
    "app/runs",
    "app/versions",
)
PLACE = re.compile(r"%\((\w+)\)[-+ #0]*\d*(?:\.\d+)?([a-zA-Z])")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def sentence_for(template: str) -> Sentence:
    """The template with a value of the right type in each place."""
    kinds = dict(PLACE.findall(template))
    return Sentence.of(
        template, **{name: 7 if how in "dfgex" else f"‹{name}›" for name, how in kinds.items()}
    )


def fail_models(session: Session, found: Iterable[Found]) -> dict[str, Sentence]:
    """A base model for each template, whose job failed with it; the sentences by the models' names."""
    told = {one.template: one for one in found}
    names = {}
    for number, (template, one) in enumerate(sorted(told.items())):
        code = FailureCode[one.code] if one.code else FailureCode.UNEXPECTED
        sentence = sentence_for(template)
        job = Job(
            kind=JobKind.PREPARE_BASE_MODEL,
            state=JobState.FAILED,
            payload=PreparePayload(base_model_id=number).to_json(),
            created_by="Mei",
        )
        job.failure = Failure(code, sentence).to_json()
        session.add(job)
        session.flush()
        name = f"model {number}"
        session.add(ModelEntry(name=name, source=BaseModelSource.LOCAL, reference="/m", job_id=job.id))
        names[name] = sentence
    return names


def test_the_source_tells_of_every_failure_what_it_says_and_its_code() -> None:
    found, unclear = failures(*FOLDERS)
    assert unclear == []
    assert len({one.template for one in found}) > 150
    assert [one.where for one in found if one.code and one.code not in FailureCode.__members__] == []
    jobs = [one for one in found if one.where.startswith("worker/")]
    assert [one.where for one in jobs if one.code is None and "warm_chat" not in one.where] == []


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_failure_of_the_worker_is_read_in_the_readers_language(
    app: FastAPI, live: LiveServer, engineer: Person, language: str
) -> None:
    with transaction(app.state.engine) as session:
        sentences = fail_models(session, failures(*FOLDERS)[0])
    translate = translations("zh-CN").gettext if language == "zh-CN" else str
    expected = {name: sentence.said(translate) for name, sentence in sentences.items()}
    if language == "zh-CN":
        assert [text for text in expected.values() if not CHINESE.search(text)] == []

    asked = {"Accept-Language": language}
    rest = engineer.api.get("/api/v1/base-models", headers=asked).json()
    assert {model["name"]: model["job"]["error"] for model in rest} == expected

    page = " ".join(
        html.unescape(visible_text(engineer.browser.get("/base-models", headers=asked).text)).split()
    )
    assert [text for text in expected.values() if " ".join(text.split()) not in page] == []

    terminal = "zh_CN.UTF-8" if language == "zh-CN" else "en_US.UTF-8"
    listed = live.run("list", "models", "--json", LANG=terminal).json
    assert {model["name"]: model["job"]["error"] for model in listed} == expected
