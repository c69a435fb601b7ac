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


def test_a_whole_dataset_is_named_instead_of_a_conversation(live: LiveServer) -> None:
    with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {live.token}"}) as client:
        dataset = client.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]
        assert client.post(f"/api/v1/datasets/{dataset}/conversations", json=DIALOGUE).status_code == 201
        asked = live.run("erase", "--dataset", "Calls")
        assert (asked.code, "Conversations: 1." in asked.stderr, "Nothing was erased" in asked.stderr) == (
            0,
            True,
            True,
        )
        assert live.run("erase", "--dataset", "Calls", "--yes", "--json").json["conversations"] == 1
        assert client.get(f"/api/v1/datasets/{dataset}").status_code == 404
    assert "either a conversation" in live.run("erase").error
    assert "either a conversation" in live.run("erase", "1", "--dataset", "Calls").error
