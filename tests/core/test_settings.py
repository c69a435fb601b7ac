"""Settings from the environment, and what follows from them."""

from pathlib import Path

import pytest

from app.core.settings import Settings


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_plain_postgresql_address_gets_its_driver(scheme: str) -> None:
    settings = Settings(database_url=f"{scheme}://me@host/studio")
    assert settings.resolved_database_url == "postgresql+psycopg://me@host/studio"


def test_without_an_address_the_database_lies_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.resolved_database_url == f"sqlite:///{tmp_path / 'studio.db'}"
    assert {settings.broker_dir.parent, settings.storage_dir.parent} == {tmp_path}


@pytest.mark.parametrize(
    ("hosts", "roots"),
    [
        ("studio, studio.example", "/models:/more models"),
        ('["studio", "studio.example"]', '["/models", "/more models"]'),
    ],
)
def test_several_values_are_written_as_people_write_them_or_as_json(
    monkeypatch: pytest.MonkeyPatch, hosts: str, roots: str
) -> None:
    monkeypatch.setenv("SFT_STUDIO_ALLOWED_HOSTS", hosts)
    monkeypatch.setenv("SFT_STUDIO_MODEL_ROOTS", roots)
    settings = Settings()
    assert settings.allowed_hosts == ("studio", "studio.example")
    assert settings.model_roots == (Path("/models"), Path("/more models"))
    monkeypatch.setenv("SFT_STUDIO_MODEL_ROOTS", "[/models]")
    with pytest.raises(ValueError, match="model_roots"):
        Settings()


def test_the_environment_may_use_the_short_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SFT_STUDIO_DATA", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://here/studio")
    monkeypatch.setenv("SFT_STUDIO_MAX_ATTEMPTS", "5")
    settings = Settings()
    assert (settings.data_dir, settings.max_attempts) == (tmp_path, 5)
    assert settings.resolved_database_url.endswith("://here/studio")
