"""What is changed between a mask check and its run is found, and can be made good."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI

from app.base_models.models import BaseModelSource, ModelEntry
from app.core.database import transaction
from app.core.storage import Storage
from app.masking import MaskSettings, read_arrays, write_arrays
from app.masking.samples.arrays import MaskArrays
from tests.mask_checks.conftest import ordinary
from tests.support.checked import freeze_these, really_check
from tests.support.training import ask_for_check
from worker.work.protocol import JobFailed
from worker.work.training.data import load_arrays
from worker.work.training.refusals import require_same_tokenizer

Change = Callable[[MaskArrays], None]


@pytest.fixture
def model(smollm2_folder: Path, tmp_path: Path) -> Path:
    """A model folder of one's own."""
    folder = tmp_path / "model"
    shutil.copytree(smollm2_folder, folder)
    return folder


def _prompt(folder: Path) -> None:
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text().replace("You are a helpful AI assistant", "You are a pirate"))


def _config(folder: Path) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(file.read_text().replace('"<|im_end|>"', '"<|endoftext|>"', 1))


def _vocabulary(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "normalizer": {"type": "NFC"}}))


def _stop(folder: Path) -> None:
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}')


@pytest.mark.parametrize("change", [_prompt, _config, _vocabulary, _stop], ids=lambda change: change.__name__)
def test_another_tokenizer_or_template_is_refused_and_checked_again(
    app: FastAPI, storage: Storage, model: Path, change: Callable[[Path], None]
) -> None:
    with transaction(app.state.engine) as session:
        row = ModelEntry(name="m", source=BaseModelSource.LOCAL, reference="m", path=str(model))
        session.add(row)
        session.flush()
        version, _ids = freeze_these(session, storage, [ordinary(1), ordinary(2)])
        question = {"dataset_version_id": version.id or 0, "base_model_id": row.id or 0}
        settings = MaskSettings(max_length=2048)
        check = really_check(session, storage, version, row.id or 0, settings)
        assert check.passed
        assert check.report
        told = check.report.tokenizer_hash
        require_same_tokenizer(model, told)
        require_same_tokenizer(model, None)  # a check from before this was kept
        same, job = ask_for_check(session, storage, **question, settings=settings)
        assert (same.id, same.passed, job.is_final) == (check.id, True, True)

        change(model)
        with pytest.raises(JobFailed, match="changed after the mask check"):
            require_same_tokenizer(model, told)
        again, job = ask_for_check(session, storage, **question, settings=settings)
        assert (again.id, again.passed, job.is_final) == (check.id, None, False)
        session.rollback()


def _a_label(arrays: MaskArrays) -> None:
    arrays.labels[np.flatnonzero(arrays.labels != -100)[0]] = -100


def _an_id(arrays: MaskArrays) -> None:
    arrays.input_ids[0] += 1


def _a_border(arrays: MaskArrays) -> None:
    arrays.offsets[1] += 1


def _the_split(arrays: MaskArrays) -> None:
    arrays.split[:] = 1 - arrays.split


def _whose(arrays: MaskArrays) -> None:
    arrays.conversation_ids[:] = arrays.conversation_ids[::-1].copy()


@pytest.mark.parametrize(
    "change", [_a_label, _an_id, _a_border, _the_split, _whose], ids=lambda change: change.__name__
)
def test_arrays_that_were_written_anew_are_refused(
    app: FastAPI, storage: Storage, model: Path, change: Change
) -> None:
    with transaction(app.state.engine) as session:
        row = ModelEntry(name="m", source=BaseModelSource.LOCAL, reference="m", path=str(model))
        session.add(row)
        session.flush()
        version, _ids = freeze_these(session, storage, [ordinary(number) for number in range(4)])
        check = really_check(session, storage, version, row.id or 0, MaskSettings())
        assert check.report
        assert check.arrays_key
        path, told = storage.path(check.arrays_key), (check.arrays_hash or "", check.report.file_hash)

        def ask() -> bool | None:
            again, _job = ask_for_check(
                session,
                storage,
                dataset_version_id=version.id or 0,
                base_model_id=row.id or 0,
                settings=MaskSettings(),
            )
            return again.passed

        assert ask() is True
        arrays = read_arrays(path)
        change(arrays)
        honest = path.read_bytes()
        write_arrays(path, arrays)
        assert ask() is None  # it is made again
        path.write_bytes(honest)
        session.rollback()
    load_arrays(path, *told)
    arrays = read_arrays(path)
    change(arrays)
    write_arrays(path, arrays)  # with a hash of its own that fits
    with pytest.raises(JobFailed, match=r"changed after the mask check|do not fit together"):
        load_arrays(path, *told)
    if change not in (_the_split, _whose):
        with pytest.raises(JobFailed, match="not the checked ones"):
            load_arrays(path, told[0])
