"""What tests of runs share."""

import pytest
from fastapi import FastAPI

from app.core.storage import Storage
from tests.support.tokenizers import smollm2_folder

__all__ = ["smollm2_folder"]


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    """The app's files."""
    found: Storage = app.state.storage
    return found
