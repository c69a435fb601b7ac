"""Arguments of the chat template, from the REST request to the check's stored settings and its arrays."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.mask_checks.models import MaskCheck
from app.mask_checks.work import CheckInput
from app.masking import read_arrays
from app.runs.service import RunRequest, start_run
from tests.support.people import Person, visible_text
from tests.support.tokenizers import smollm2_folder
from tests.support.training import ENGINEER, finish_check, make_model, make_version

__all__ = ["smollm2_folder"]
TEMPLATE = (
    "{% if tone is defined %}<|im_start|>system\nBe {{ tone }}.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def folder(smollm2_folder: Path, tmp_path: Path) -> Path:
    """A model whose template reads one argument."""
    made = tmp_path / "toned"
    made.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (made / file).write_bytes((smollm2_folder / file).read_bytes())
    (made / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return made


def test_rest_stores_arguments_and_tells_checks_apart_by_them(
    app: FastAPI, engineer: Person, tmp_path: Path, folder: Path
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, Storage(tmp_path / "storage"))
        make_model(session).path = str(folder)
    body = {"dataset_version_id": 1, "base_model_id": 1}

    def ask(**settings: object) -> tuple[int, dict[str, object]]:
        response = engineer.api.post("/api/v1/mask-checks", json={**body, "settings": settings})
        return response.status_code, response.json()

    _, plain = ask()
    _, same = ask(template_arguments={})
    _, toned = ask(template_arguments={"tone": "brief"})
    assert plain["id"] == same["id"] != toned["id"]
    assert plain["settings"]["template_arguments"] == {}  # type: ignore[index]
    assert toned["settings"]["template_arguments"] == {"tone": "brief"}  # type: ignore[index]
    for arguments in ({"tune": "x"}, {"messages": "x"}, {"tone": ["x"]}, {"tone": None}):
        status, problem = ask(template_arguments=arguments)
        assert status == 422
        assert "template_arguments" in json.dumps(problem)


def test_the_worker_masks_with_the_stored_arguments(folder: Path, tmp_path: Path) -> None:
    import hashlib

    from worker.work.mask_check import run
    from worker.work.protocol import Control, JobFailed

    version = tmp_path / "version.jsonl"
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    version.write_text(json.dumps({"id": 1, "split": "train", "messages": messages}) + "\n")

    def check(arguments: dict[str, object]) -> int:
        job = CheckInput.stored(
            {
                "version_file": str(version),
                "content_hash": hashlib.sha256(version.read_bytes()).hexdigest(),
                "base_model": "toned",
                "base_model_path": str(folder),
                "settings": {"train_on": "assistant", "template_arguments": arguments},
            }
        )
        result = run(job, tmp_path, lambda *_, **__: None, Control())
        assert result.report.green
        assert result.report.settings.template_arguments == arguments
        assert result.arrays
        return len(read_arrays(tmp_path / result.arrays).input_ids)

    assert check({"tone": "brief"}) > check({})
    with pytest.raises(JobFailed, match="does not read the argument “tune”"):
        check({"tune": 1})


@pytest.mark.usefixtures("silent_bell")
def test_the_form_of_a_new_run_offers_them_and_carries_them_into_the_check_and_the_run(
    app: FastAPI, engineer: Person, folder: Path
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, app.state.storage)
        make_model(session).path = str(folder)
    form = engineer.browser.get("/runs/new").text
    assert 'name="argument.tone"' in form
    htmx = {"HX-Request": "true"}
    sent = {"version": "1", "model": "1", "max_length": "2048", "argument.tone": '"7"', "argument.old": "x"}
    answer = engineer.browser.post("/runs/new/check", data=sent, headers=htmx)
    assert "does not read the argument old; it is left out" in visible_text(answer.text)
    # the fields that were sent were others, so the right ones come with the answer
    assert 'value="&#34;7&#34;"' in answer.text
    with transaction(app.state.engine) as session:
        check = session.get_one(MaskCheck, 1)
        assert check.settings.template_arguments == {"tone": "7"}
        finish_check(session, check)
        request = RunRequest(1, confirmed=True, idempotency_key="k")
        run, _created = start_run(session, ENGINEER, request)
        run_id = run.id
    same = {name: value for name, value in sent.items() if name != "argument.old"}
    again = engineer.browser.post("/runs/new/check", data=same, headers=htmx).text
    assert 'name="mask_check_id" value="1"' in again
    assert "argument-fields" not in again
    assert "tone=&#34;7&#34;" in engineer.browser.get(f"/runs/{run_id}").text
    assert "tone=&#34;7&#34;" in engineer.browser.get("/mask-checks/1").text
    assert 'value="&#34;7&#34;"' in engineer.browser.get(f"/runs/new?like={run_id}").text
