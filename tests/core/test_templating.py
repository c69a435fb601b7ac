"""Assets by their content, icons with or without a name, and answers that htmx understands."""

import json
from pathlib import Path

import pytest

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


def test_a_notice_travels_in_a_header() -> None:
    (header,) = templating.toast("Saved “x”.", undo_url="/undo").values()
    assert json.loads(header)["toast"] == {
        "message": "Saved “x”.",
        "kind": "success",
        "undo_url": "/undo",
        "link_url": None,
    }
    assert header.isascii()
