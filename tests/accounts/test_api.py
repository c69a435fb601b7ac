"""REST for accounts."""

from tests.support.people import Person


def test_a_token_can_ask_who_it_is(annotator: Person) -> None:
    answer = annotator.api.get("/api/v1/me").json()
    assert answer["role"] == "annotator"
    assert annotator.actor.name.split(" (")[0] in answer["name"]


def test_one_sees_and_revokes_ones_own_tokens_only(annotator: Person, reviewer: Person) -> None:
    [token] = annotator.api.get("/api/v1/tokens").json()
    assert "secret" not in token
    assert "secret_hash" not in token
    assert reviewer.api.delete(f"/api/v1/tokens/{token['id']}").status_code == 404
    assert annotator.api.delete(f"/api/v1/tokens/{token['id']}").status_code == 204
    assert annotator.api.get("/api/v1/tokens").status_code == 401


def test_a_token_cannot_make_tokens(admin: Person) -> None:
    assert admin.api.post("/api/v1/tokens", json={"name": "next", "role": "admin"}).status_code == 405


def test_an_admin_adds_a_person_changes_and_closes_the_account(admin: Person) -> None:
    body = {"name": "Lin", "password": "a long enough password", "role": "reviewer"}
    made = admin.api.post("/api/v1/people", json=body)
    assert made.status_code == 201
    assert "password" not in made.text
    address = f"/api/v1/people/{made.json()['id']}"
    assert admin.api.patch(address, json={"role": "annotator"}).json()["role"] == "annotator"
    assert admin.api.patch(address, json={"is_active": False}).json()["is_active"] is False
    assert "Lin" in [person["name"] for person in admin.api.get("/api/v1/people").json()]
    assert admin.api.post("/api/v1/people", json=body).status_code == 409


def test_the_people_are_for_admins(engineer: Person) -> None:
    assert engineer.api.get("/api/v1/people").status_code == 403
    assert engineer.api.post("/api/v1/people", json={"name": "x", "password": "y"}).status_code == 403
