"""What commands say of a token that does not do."""

from datetime import timedelta

from fastapi import FastAPI
from sqlmodel import select

from app.accounts.models import ApiToken, Role, Scope
from app.core.database import transaction, utc_now
from tests.cli.conftest import LiveServer
from tests.support.people import make_person


def test_a_token_that_holds_no_more_and_one_that_may_less_say_so_with_the_exit_codes_of_the_command(
    app: FastAPI, live: LiveServer
) -> None:
    reader = make_person(app, Role.ENGINEER, "Li", scope=Scope.READ)
    token = reader.api.headers["Authorization"].removeprefix("Bearer ")
    refused = live.run("import", __file__, "--dataset", "x", SFT_STUDIO_TOKEN=token)
    assert (refused.code, refused.stdout) == (1, "")
    assert "This token was made for less (" in refused.error
    with transaction(app.state.engine) as session:
        stored = session.exec(select(ApiToken).where(ApiToken.name == "test")).one()
        stored.expires_at = utc_now() - timedelta(days=1)
        session.add(stored)
    # Not judged is not “no”.
    for arguments, code in ((("status",), 1), (("gate", "--run", "1", "--min", "checks=1"), 2)):
        expired = live.run(*arguments, SFT_STUDIO_TOKEN=token)
        assert (expired.code, expired.stdout) == (code, "")
        assert "refuses the token: The API token “test” expired on" in expired.error
        assert "Make a new one on the Account page. Set SFT_STUDIO_TOKEN" in expired.error
