"""Names of datasets."""

import pytest
from sqlalchemy import Engine

from app.core.database import transaction
from app.core.errors import Conflict, Invalid
from app.datasets import service
from tests.conversations.conftest import ANN
from tests.imports.test_service import make_dataset


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_dataset_needs_a_name_of_its_own(engine: Engine, name: str) -> None:
    with transaction(engine) as session:
        make_dataset(session)
        with pytest.raises(Invalid):
            service.create_dataset(session, ANN, name=name)
        with pytest.raises(Conflict):
            service.create_dataset(session, ANN, name=" Calls ")
