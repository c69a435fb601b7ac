"""What the OpenAPI document says of each operation is so: requests are made of it, and the answers held against it."""

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.accounts.models import Role
from app.core.database import transaction
from tests.support.people import make_person
from tests.support.training import make_run

EXAMPLES = 3


@pytest.mark.filterwarnings("ignore")
def test_every_operation_answers_as_the_document_says(app: FastAPI, silent_bell: None) -> None:
    with transaction(app.state.engine) as session:
        make_run(session, app.state.storage)
    token = make_person(app, Role.ADMIN).api.headers["Authorization"]
    document = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    wrong: list[str] = []
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/events"):
            continue  # a stream, which lasts

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=operation.as_strategy())
        def hold(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            answer = case.call(headers={"Authorization": token})
            try:
                # A rule of the studio may refuse what the document cannot tell, such as an id that there is not.
                case.validate_response(answer, excluded_checks=[positive_data_acceptance])
            except (Failure, FailureGroup) as failure:
                wrong.append(f"{case.method} {case.path}: {answer.status_code} {failure}")

        hold()
    assert wrong == []
    assert asked > 60
