"""What tests of trackers share: a server that keeps MLflow's contract, and an installation that tells it."""

from collections.abc import Iterator

import pytest

from app.core.settings import Settings
from tests.trackers.mlflow_server import MlflowServer, serving_mlflow


@pytest.fixture
def server() -> Iterator[MlflowServer]:
    with serving_mlflow() as found:
        yield found


@pytest.fixture
def settings(settings: Settings, server: MlflowServer) -> Settings:
    """An installation that tells the server of its runs."""
    told = {
        "mlflow_uri": server.uri,
        "mlflow_experiment": "Sales",
        "public_url": "https://studio.example.com",
    }
    return settings.model_copy(update=told)
