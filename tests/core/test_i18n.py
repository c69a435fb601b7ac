"""Every visible string exists in English and Chinese, and both can be filled in with the same values."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.extract import extract
from babel.messages.pofile import read_po

from app.core.i18n import LOCALE_DIR, gettext, negotiate, ngettext, translate, translations, use_locale
from app.sentences import Sentence

ROOT = Path(__file__).parents[2]
KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sdfr]")
# English that is the same in Chinese, or that only a log reader sees.
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _messages(path: Path, method: str) -> Iterator[tuple[str, str]]:
    options = {"extensions": "jinja2.ext.i18n,jinja2.ext.do", "newstyle_gettext": "true", "silent": "false"}
    with path.open("rb") as file:
        for line, message, _comments, _context in extract(
            method, BytesIO(file.read()), keywords=KEYWORDS, options=options if method != "python" else {}
        ):
            for text in message if isinstance(message, tuple) else (message,):
                if text:
                    yield text, f"{path.relative_to(ROOT)}:{line}"


@cache
def extracted() -> dict[str, str]:
    """Every English message and where it is said first."""
    found: dict[str, str] = {}
    for folder in ("app", "worker"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update({text: where for text, where in _messages(path, "python") if text not in found})
    for path in sorted((ROOT / "templates").rglob("*.html")):
        found.update(
            {text: where for text, where in _messages(path, "jinja2.ext:babel_extract") if text not in found}
        )
    return found


@cache
def catalogue() -> dict[str, tuple[str, ...]]:
    """Every English message and its Chinese."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted((LOCALE_DIR / "zh_CN").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_CN"):
                if not message.id:
                    continue
                assert not message.fuzzy, f"{path.name}: fuzzy: {message.id}"
                ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
                strings = message.string if isinstance(message.string, tuple | list) else (message.string,)
                for text in ids:
                    found[text] = tuple(str(item) for item in strings)
    return found


def test_every_string_has_a_chinese_translation() -> None:
    translated = catalogue()
    missing = sorted(
        f"{where}: {text}" for text, where in extracted().items() if not any(translated.get(text, ()))
    )
    assert missing == []


def test_no_catalogue_holds_a_string_that_nobody_says() -> None:
    said = extracted()
    assert sorted(text for text in catalogue() if text not in said) == []


def test_a_list_has_the_comma_of_the_language_between_its_words() -> None:
    own = re.compile(r"""\{\{-? *["'], ["'] if |\}\}, \{""")
    places = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if own.search(line)
    ]
    assert places == [], 'write {{ _(", ") }}'


def test_translations_keep_the_placeholders() -> None:
    wrong = [
        text
        for text, strings in catalogue().items()
        for translated in strings
        if set(PLACEHOLDER.findall(translated)) - set(PLACEHOLDER.findall(text))
    ]
    assert wrong == []


def test_two_catalogues_do_not_translate_one_string_differently() -> None:
    seen: dict[str, tuple[str, str]] = {}
    different = []
    for path in sorted((LOCALE_DIR / "zh_CN").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_CN"):
                key, value = str(message.id), str(message.string)
                if message.id and key in seen and seen[key][1] != value:
                    different.append(f"{key}: {seen[key][0]} says {seen[key][1]}, {path.name} says {value}")
                seen.setdefault(key, (path.name, value))
    assert different == []


def test_a_stored_message_is_translated_with_its_values() -> None:
    message = "There is no dataset %(id)d."
    with use_locale("zh-CN"):
        assert CHINESE.search(translate(message, {"id": 7}))
        assert "7" in translate(message, {"id": 7})
        assert translate("no such message %(x)s", {}) == "no such message %(x)s"
    assert translate(message, {"id": 7}) == "There is no dataset 7."


def test_the_stored_choice_wins_over_the_browsers_language() -> None:
    assert negotiate("zh-CN", "en-GB,en;q=0.9") == "zh-CN"
    assert negotiate(None, "fr,zh-TW;q=0.8,en;q=0.5") == "zh-CN"
    assert negotiate("xx", "de") == "en"


def test_english_needs_no_catalogue() -> None:
    assert translations("en").gettext("Datasets") == "Datasets"


def test_what_code_fills_itself_has_its_amounts_in_groups_of_digits_too() -> None:
    """Toasts and messages of commands are `_("…") % {…}`."""
    assert gettext("Conversations: %(count)d.") % {"count": 25757} == "Conversations: 25,757."
    assert ngettext("%(n)d given to %(name)s.", "%(n)d given to %(name)s.", 2000) % {
        "n": 2000,
        "name": 1,
    } == ("2,000 given to 1.")
    with use_locale("zh-CN"):
        assert "25,757" in gettext("Conversations: %(count)d.") % {"count": 25757}
        assert "4321" in gettext("Run %(id)d keeps what it has learned so far.") % {"id": 4321}


# A number after one of these says which one it is, and is no amount.
NAMED = re.compile(
    r"(?<!this )(?<! its )\b(?:run|version|port|line|seed|conversation|job|sweep|export|webhook|delivery|evaluation|attempt)s?"
    r" %\((\w+)\)(?:d| to %\((\w+)\)d)",
    re.IGNORECASE,
)


def test_a_number_that_names_something_is_not_written_as_an_amount() -> None:
    named = {name for text in extracted() for found in NAMED.findall(text) for name in found if name}
    assert {"id", "port", "line", "number"} <= named
    wrong = [name for name in named if Sentence.of(f"%({name})d", **{name: 4321}).english() != "4321"]
    assert wrong == []


def test_nothing_that_people_read_is_filled_but_by_what_groups_digits() -> None:
    """`N_("…") % …` and a text of the code's own would go round it, and round the reader's language."""
    wrong = []
    for path in (path for folder in ("app", "worker") for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mod):
                continue
            marked = isinstance(node.left, ast.Call) and getattr(node.left.func, "id", "") == "N_"
            own = isinstance(node.left, ast.Constant) and "%(" in str(node.left.value)
            if marked or own:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert wrong == []
