"""What tests of runs share."""

import pytest
from fastapi import FastAPI

from app.core.storage import Storage


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    """The app's files."""
    found: Storage = app.state.storage
    return found
