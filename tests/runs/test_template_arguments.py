"""Arguments of the chat template, from the REST request to the check's stored settings and its arrays."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.masking import read_arrays
from tests.support.people import Person
from tests.support.tokenizers import smollm2_folder
from tests.support.training import make_model, make_version

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
    assert "template_arguments" not in plain["settings"]  # type: ignore[operator]
    assert toned["settings"]["template_arguments"] == {"tone": "brief"}  # type: ignore[index]
    for arguments in ({"tune": "x"}, {"messages": "x"}, {"tone": ["x"]}, {"tone": None}):
        status, problem = ask(template_arguments=arguments)
        assert status == 422
        assert "template_arguments" in json.dumps(problem)


def test_the_worker_masks_with_the_stored_arguments(folder: Path, tmp_path: Path) -> None:
    import hashlib

    from worker.mask_check import run
    from worker.protocol import Control, JobFailed

    version = tmp_path / "version.jsonl"
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    version.write_text(json.dumps({"id": 1, "split": "train", "messages": messages}) + "\n")

    def check(arguments: dict[str, object]) -> int:
        job = {
            "version_file": str(version),
            "content_hash": hashlib.sha256(version.read_bytes()).hexdigest(),
            "base_model": "toned",
            "base_model_path": str(folder),
            "settings": {"train_on": "assistant", "template_arguments": arguments},
        }
        result = run(job, tmp_path, lambda *_, **__: None, Control())
        assert result["passed"]
        assert result["report"]["template_arguments"] == arguments
        return len(read_arrays(tmp_path / result["arrays"]).input_ids)

    assert check({"tone": "brief"}) > check({})
    with pytest.raises(JobFailed, match="does not read the argument “tune”"):
        check({"tune": 1})
