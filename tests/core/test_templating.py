"""Assets by their content, icons with or without a name, and answers that htmx understands."""

import json
from pathlib import Path

import pytest
from starlette.requests import Request

from app.core import templating


def test_an_assets_address_changes_with_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templating, "STATIC_DIR", tmp_path)
    seen = set()
    for content in ("a", "b"):
        (tmp_path / "x.css").write_text(content)
        templating._asset_hash.cache_clear()
        seen.add(templating.asset("x.css"))
    assert len(seen) == 2
    assert all(address.startswith("/static/x.css?v=") for address in seen)


def test_an_icon_is_decoration_unless_it_is_named() -> None:
    assert 'aria-hidden="true"' in templating.icon("cpu")
    named = templating.icon("cpu", 'A "chip"')
    assert 'role="img"' in named
    assert "&#34;chip&#34;" in named
    assert "aria-hidden" not in named


def test_pages_escape_what_people_write_and_stop_at_unknown_names() -> None:
    environment = templating.templates
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(Exception, match="undefined"):
        environment.from_string("{{ nothing }}").render()


def test_words_with_values_escape_them_and_write_amounts_in_groups_of_digits() -> None:
    page = templating.templates.from_string(
        """{{ _("By %(name)s: %(count)d; run %(id)d", name=name, count=12345, id=4321) }} """
        """{{ ngettext("%(num)d run", "%(num)d runs", 25757) }}"""
    )
    assert page.render(name="<b>") == "By &lt;b&gt;: 12,345; run 4321 25,757 runs"


def test_a_notice_travels_in_a_header() -> None:
    (header,) = templating.toast("Saved “x”.", undo_url="/undo").values()
    assert json.loads(header)["toast"] == {
        "message": "Saved “x”.",
        "kind": "success",
        "undo_url": "/undo",
        "link_url": None,
    }
    assert header.isascii()


@pytest.mark.parametrize(
    ("shown", "path", "asks_again"),
    [
        ("http://localhost/datasets/1/versions", "/datasets/1/versions#version-2", True),
        (
            "http://localhost/datasets/1/versions?same_as=1#version-1",
            "/datasets/1/versions?same_as=1#version-1",
            True,
        ),
        ("http://localhost/datasets/1/versions", "/datasets/1/versions?same_as=1#version-1", False),
        ("http://localhost/datasets/1", "/datasets/1/versions#version-2", False),
        ("http://localhost/datasets/1/versions", "/datasets/1/versions", False),
        ("", "/datasets/1/versions#version-2", False),
    ],
)
def test_a_place_of_the_page_that_is_shown_is_asked_for_again(
    shown: str, path: str, asks_again: bool
) -> None:
    headers = [(b"hx-request", b"true"), (b"hx-current-url", shown.encode())]
    answer = templating.go(Request({"type": "http", "headers": headers}), path)
    assert (answer.headers["HX-Redirect"], answer.headers.get("HX-Refresh") == "true") == (path, asks_again)
