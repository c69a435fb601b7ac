"""A prepared model is found by its name on the command line too."""

from pathlib import Path

import pytest

from app.base_models.handler import link_by_reference
from app.cli.masks.command import resolve_model


@pytest.mark.parametrize("reference", ["SmolLM2-135M-Instruct", "org/model"])
def test_a_prepared_model_is_found_by_its_reference_and_a_newer_one_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.setenv("SFT_STUDIO_DATA", str(tmp_path / "data"))
    for attempt in ("1", "2"):
        folder = tmp_path / "data" / "storage" / "jobs" / attempt
        folder.mkdir(parents=True)
        (folder / "tokenizer.json").touch()
        link_by_reference(tmp_path / "data" / "models", reference, folder)
        assert resolve_model(reference).resolve() == folder.resolve()
