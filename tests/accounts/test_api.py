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


def test_an_admin_who_signed_in_adds_a_person_changes_and_closes_the_account(admin: Person) -> None:
    body = {"name": "Lin", "password": "a long enough password", "role": "reviewer"}
    made = admin.browser.post("/api/v1/people", json=body)
    assert made.status_code == 201
    assert made.json()["must_change_password"] is True
    assert body["password"] not in made.text
    address = f"/api/v1/people/{made.json()['id']}"
    assert admin.browser.patch(address, json={"role": "annotator"}).json()["role"] == "annotator"
    link = admin.browser.post(f"{address}/reset-link").json()["link"]
    assert admin.browser.get(link).status_code == 200
    assert admin.browser.patch(address, json={"is_active": False}).json()["is_active"] is False
    assert "Lin" in [person["name"] for person in admin.api.get("/api/v1/people").json()]
    assert admin.browser.post("/api/v1/people", json=body).status_code == 409


def test_a_stolen_token_of_an_admin_makes_no_admin_no_token_and_no_password(admin: Person) -> None:
    for method, path, body in (
        ("POST", "/api/v1/people", {"name": "x", "password": "a long enough password", "role": "admin"}),
        ("PATCH", "/api/v1/people/1", {"role": "admin"}),
        ("POST", "/api/v1/people/1/reset-link", None),
        ("PUT", "/api/v1/account/password", {"old": "x", "password": "a long enough password"}),
    ):
        refused = admin.api.request(method, path, json=body)
        assert (refused.status_code, "No token may do this" in refused.text) == (403, True), path
    assert len(admin.api.get("/api/v1/people").json()) == 1


def test_the_people_are_for_admins(engineer: Person) -> None:
    assert engineer.api.get("/api/v1/people").status_code == 403
    assert engineer.browser.post("/api/v1/people", json={"name": "x", "password": "y"}).status_code == 403
