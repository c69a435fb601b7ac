"""What nobody sees is in no name that people give to things."""

import pytest

from app.core.errors import Invalid
from app.core.names import visible_name
from tests.support.people import Person


@pytest.mark.parametrize(
    "name", ["a\u202egnp.exe", "zero\u200bwidth", "\ufeffmark", "two\nlines", "bell\x07", "\u2066left"]
)
def test_a_name_with_a_character_that_nobody_sees_is_refused_by_its_number(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        visible_name(name)
    assert refused.value.field == "name"
    assert f"U+{next(ord(sign) for sign in name if not sign.isprintable()):04X}" in str(refused.value)


@pytest.mark.parametrize(
    "name", ["七月通话", "می\u200cخواهم", "👩\u200d💻 calls", "क्\u200dष", "Crème 🇨🇳", "Zürich №5"]
)
def test_what_scripts_and_emoji_need_stays(name: str) -> None:
    assert visible_name(f"  {name} ") == name


def test_a_dataset_refuses_it_at_each_door(engineer: Person) -> None:
    turned = "Calls \u202etxt"
    refused = engineer.api.post("/api/v1/datasets", json={"name": turned})
    assert (refused.status_code, "U+202E" in refused.text) == (422, True)
    page = engineer.browser.post("/datasets", data={"name": turned})
    assert (page.status_code, "U+202E" in page.text) == (422, True)
    dataset = engineer.api.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]
    renamed = engineer.api.patch(f"/api/v1/datasets/{dataset}", json={"name": turned})
    assert (renamed.status_code, "U+202E" in renamed.text) == (422, True)
