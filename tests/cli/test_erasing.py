"""`erase` says what holds a conversation, and erases it when told to."""

import httpx

from tests.cli.conftest import LiveServer
from tests.cli.test_commands import DIALOGUE


def test_the_command_says_what_holds_it_and_erases_only_when_told_to(live: LiveServer) -> None:
    with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {live.token}"}) as client:
        dataset = client.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]
        number = client.post(f"/api/v1/datasets/{dataset}/conversations", json=DIALOGUE).json()["id"]
        asked = live.run("erase", str(number))
        assert (asked.code, "Nothing was erased" in asked.stderr) == (0, True), asked.stderr
        done = live.run("erase", str(number), "--yes", "--json")
        assert (done.code, done.json["is_stored"]) == (0, True)
        assert client.get(f"/api/v1/conversations/{number}").status_code == 404
    assert f"no conversation {number}" in live.run("erase", str(number)).error
