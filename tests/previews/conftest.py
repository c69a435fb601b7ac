"""A dataset, a ready base model with the real tokenizer, and conversations to look at."""

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page

from app.accounts.models import Role
from app.accounts.service import Actor
from app.base_models.models import BaseModelSource, ModelEntry
from app.conversations.drafts import create_conversation
from app.core.database import transaction
from app.datasets import service as datasets
from tests.support.live import faults_of, signed_in
from tests.support.people import Person
from tests.support.tokenizers import smollm2, smollm2_folder

__all__ = ["smollm2", "smollm2_folder"]
ANN = Actor(1, "Ann", Role.ANNOTATOR, "session")
DIALOGUE = [
    {"role": "user", "content": "What does it cost?"},
    {"role": "assistant", "content": "How many people\nwould use it?"},
    {"role": "user", "content": "十二个人，报价多少？😀"},
    {"role": "assistant", "content": "那就是每月 348 元。"},
]
# The same header and end as ChatML, but no system prompt of its own.
PLAIN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

MakeConversation = Callable[..., int]
MakeModel = Callable[[str, str], int]


@pytest.fixture
def make(app: FastAPI) -> MakeConversation:
    """Stores a conversation and gives its id."""
    with transaction(app.state.engine) as session:
        dataset_id = datasets.create_dataset(session, ANN, name="Calls").id
    assert dataset_id is not None
    made: list[int] = []

    def make_one(messages: list[dict[str, Any]] | None = None) -> int:
        with transaction(app.state.engine) as session:
            # The sample dialogue is one customer's after the other, for a dataset has each dialogue once.
            named = [{**DIALOGUE[0], "name": f"customer-{len(made)}"}, *DIALOGUE[1:]] if made else DIALOGUE
            data = {"messages": messages or named}
            conversation = create_conversation(session, dataset_id, data, ANN)
            assert conversation.id is not None
            made.append(conversation.id)
            return conversation.id

    return make_one


@pytest.fixture
def make_model(app: FastAPI, smollm2_folder: Path, tmp_path: Path) -> MakeModel:
    """Registers the small tokenizer's folder, with another chat template if one is given."""

    def make_one(name: str, template: str = "") -> int:
        folder = smollm2_folder
        if template:
            folder = tmp_path / name
            folder.mkdir()
            for file in ("tokenizer.json", "tokenizer_config.json"):
                (folder / file).write_bytes((smollm2_folder / file).read_bytes())
            (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
        with transaction(app.state.engine) as session:
            model = ModelEntry(
                name=name, source=BaseModelSource.LOCAL, reference=str(folder), path=str(folder)
            )
            session.add(model)
            session.flush()
            assert model.id is not None
            return model.id

    return make_one


@pytest.fixture
def model_id(make_model: MakeModel) -> int:
    """A ready base model."""
    return make_model("SmolLM2", "")


class _Strip(HTMLParser):
    """Reads the tokens back from the page as its script does: what a run shares, then its children in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tokens: list[dict[str, Any]] = []
        self._run: dict[str, Any] | None = None
        self._other = 0
        self._depth = 0
        self._next = 0
        self._open: dict[str, Any] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        names = (found.get("class") or "").split()
        if tag == "div":
            self._depth += 1
            if "data-other" in found:
                self._other = self._depth
        if tag != "span" or self._other:
            return
        if "token-run" in names:
            self._run = {"names": names, **found}
            self._next = int(found["data-start"] or 0)
        elif self._run is not None and "data-id" in found:
            ids = [int(one) for one in (found["data-id"] or "").split()]
            self._open = {
                "text": "",
                "ids": ids,
                "first": self._next,
                "special": "token--special" in names,
                "begun": found.get("data-begun") or "",
            }
            self._next += len(ids)

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            if self._other == self._depth:
                self._other = 0
            self._depth -= 1
        if tag != "span" or self._run is None:
            return
        if self._open is None:
            self._run = None
            return
        turn = self._run.get("data-turn")
        for offset, identity in enumerate(self._open["ids"]):
            self.tokens.append(
                {
                    "index": self._open["first"] + offset,
                    "id": identity,
                    "trained": "token-run--trained" in self._run["names"],
                    "cut": "token-run--cut" in self._run["names"],
                    "mark": "".join(n.rpartition("-")[2] for n in self._run["names"] if "--only-" in n),
                    "role": self._run["data-role"],
                    "turn": None if turn is None else int(turn),
                    "special": self._open["special"],
                    "glyph": self._open["text"],
                    "begun": self._open["begun"],
                    "shared": len(self._open["ids"]),
                }
            )
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open["text"] += data


def tokens_on(html: str) -> list[dict[str, Any]]:
    """Every token of the page's strip in order, cut ones included."""
    strip = _Strip()
    strip.feed(html)
    return strip.tokens


def labels_on(html: str) -> list[int]:
    """The label the page gives each kept token."""
    return [token["id"] if token["trained"] else -100 for token in tokens_on(html) if not token["cut"]]


def form_of(html: str, **changes: str) -> dict[str, str]:
    """The fields of the settings form as a browser would send them, with changes."""
    fields = {
        match["name"]: match["value"]
        for match in re.finditer(
            r'<input type="(?:hidden|number)"[^>]*?name="(?P<name>\w+)"[^>]*?value="(?P<value>[^"]*)"', html
        )
    }
    for match in re.finditer(r'<select id="field-(\w+)".*?</select>', html, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', match[0]) or re.search(r'value="([^"]*)"', match[0])
        assert chosen is not None
        fields[match[1]] = chosen[1]
    return {**fields, **changes}


# -- in a browser --------------------------------------------------------------------------------------------


def watched(browser: Browser, url: str, person: Person) -> Iterator[Page]:
    """A signed-in page on which nothing may go wrong unseen."""
    context = signed_in(browser, url, person)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    faults = faults_of(page)
    yield page
    context.close()
    assert faults == []


@pytest.fixture
def page(browser: Browser, url: str, annotator: Person) -> Iterator[Page]:
    """An annotator's page."""
    yield from watched(browser, url, annotator)


@pytest.fixture
def engineers_page(browser: Browser, url: str, engineer: Person) -> Iterator[Page]:
    """An engineer's page."""
    yield from watched(browser, url, engineer)
