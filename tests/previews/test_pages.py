"""The preview page: settings, flags, comparison, refusals, links."""

import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.previews import service
from tests.previews.conftest import (
    DIALOGUE,
    PLAIN_TEMPLATE,
    MakeConversation,
    MakeModel,
    form_of,
    labels_on,
    tokens_on,
)
from tests.support.people import Person, problem_of, visible_text

HTMX = {"HX-Request": "true"}
DROPS_TURNS = "{{ messages[0].content }}"


def trained_turns(html: str) -> set[int | None]:
    return {token["turn"] for token in tokens_on(html) if token["trained"]}


def test_a_changed_setting_gives_the_fragment_and_its_address(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    path = f"/conversations/{make()}/mask"
    page = annotator.browser.get(path).text
    answer = annotator.browser.post(path, data=form_of(page, train_on="last_assistant"), headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert trained_turns(page) == {1, 3}
    assert trained_turns(answer.text) == {3}
    keys = re.findall(r"<template data-page-keys>(.*?)</template>", page, re.DOTALL)
    assert "← → the token before, the next" in visible_text(keys[0])
    assert "Esc Close what is open" in visible_text(keys[1])
    address = answer.headers["HX-Replace-Url"]
    assert annotator.browser.get(address).text.count("token-run--trained") == answer.text.count(
        "token-run--trained"
    )


def test_an_emptied_length_means_no_limit_also_in_the_address(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    long = [*DIALOGUE, *({"role": role, "content": "word " * 600} for role in ("user", "assistant") * 3)]
    path = f"/conversations/{make(long)}/mask"
    page = annotator.browser.get(f"{path}?max_length=2048").text
    assert any(token["cut"] for token in tokens_on(page))
    assert "Cut here" in page
    # What is cut off altogether does not say that it is trained.
    flags = re.findall(r'class="(turn__flag[^"]*)" aria-pressed="true"', page)
    assert (flags[0], flags[-1]) == ("turn__flag", "turn__flag turn__flag--lost")
    answer = annotator.browser.post(path, data=form_of(page, max_length=""), headers=HTMX)
    assert not any(token["cut"] for token in tokens_on(answer.text))
    again = annotator.browser.get(answer.headers["HX-Replace-Url"]).text
    assert labels_on(again) == labels_on(answer.text)


def test_a_flag_is_tried_without_saving_then_saved_then_undone(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    number = make()
    path = f"/conversations/{number}/mask"
    page = annotator.browser.get(path).text
    tried = annotator.browser.post(path, data=form_of(page, toggle="1:0"), headers=HTMX).text
    assert trained_turns(tried) == {3}
    assert "1 flag is tried here and not saved." in tried
    stored = annotator.api.get(f"/api/v1/conversations/{number}").json()["messages"]
    assert "train" not in stored[1]

    form = {**form_of(page), **form_of(tried)}
    saved = annotator.browser.post(f"{path}/flags", data=form, headers=HTMX)
    assert saved.status_code == 200
    assert "saved" in saved.headers["HX-Trigger"]
    assert "not saved" not in saved.text
    stored = annotator.api.get(f"/api/v1/conversations/{number}").json()["messages"]
    assert stored[1]["train"] is False
    assert trained_turns(saved.text) == {3}

    form = {**form, **form_of(saved.text), "toggle": "1:-"}
    assert trained_turns(annotator.browser.post(path, data=form, headers=HTMX).text) == {1, 3}
    discarded = annotator.browser.post(path, data={**form, "discard": "1"}, headers=HTMX).text
    assert trained_turns(discarded) == {3}


def test_flags_are_not_saved_over_somebody_elses_change(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    number = make()
    path = f"/conversations/{number}/mask"
    form = form_of(annotator.browser.get(path).text, flags="1:0")
    change = {"version": 1, "messages": [{**DIALOGUE[0], "content": "Changed."}, *DIALOGUE[1:]]}
    assert annotator.api.patch(f"/api/v1/conversations/{number}", json=change).status_code == 200
    answer = annotator.browser.post(f"{path}/flags", data=form)
    assert answer.status_code == 409
    assert "changed this conversation meanwhile" in visible_text(answer.text)
    assert "Changed." in answer.text
    assert "1 flag is tried here" in answer.text
    stored = annotator.api.get(f"/api/v1/conversations/{number}").json()
    assert (stored["version"], "train" in stored["messages"][1]) == (2, False)
    # The answer carries the new version, so the same button works now.
    again = annotator.browser.post(f"{path}/flags", data=form_of(answer.text))
    assert again.status_code == 303
    assert annotator.api.get(f"/api/v1/conversations/{number}").json()["messages"][1]["train"] is False


def test_two_strategies_are_compared_token_by_token(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    path = f"/conversations/{make()}/mask"
    both = annotator.browser.get(path, params={"compare": "strategy:last_assistant"}).text
    here = {t["index"]: t["trained"] for t in tokens_on(annotator.browser.get(path).text)}
    other = annotator.browser.get(path, params={"train_on": "last_assistant"}).text
    there = {t["index"]: t["trained"] for t in tokens_on(other)}
    for token in tokens_on(both):
        expected = {(True, False): "here", (False, True): "there"}.get(
            (here[token["index"]], there[token["index"]]), ""
        )
        assert token["mark"] == expected
    count = sum(here[index] != there[index] for index in here)
    assert count > 0
    assert f"{count} tokens' labels differ from B" in visible_text(both).replace("&#39;", "'")


def test_two_models_are_compared_by_the_same_letters(
    annotator: Person, make: MakeConversation, model_id: int, make_model: MakeModel
) -> None:
    path = f"/conversations/{make()}/mask"
    other = make_model("Plain", PLAIN_TEMPLATE)
    same = annotator.browser.get(path, params={"base_model": model_id, "compare": f"model:{other}"}).text
    assert "No label differs from B" in same
    # Without the default system prompt more of the dialogue fits, so its end is trained there only.
    whole = len(tokens_on(annotator.browser.get(path, params={"base_model": other}).text))
    cut = annotator.browser.get(
        path, params={"base_model": model_id, "compare": f"model:{other}", "max_length": whole}
    ).text
    differing = [token for token in tokens_on(cut) if token["mark"]]
    assert {token["mark"] for token in differing} == {"there"}
    assert {token["turn"] for token in differing} == {3}
    assert all(token["cut"] for token in differing)
    assert "token-run--only-there" in cut[cut.rindex("data-other") :]


def test_a_pasted_template_is_used_and_kept_out_of_long_addresses(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    path = f"/conversations/{make()}/mask"
    page = annotator.browser.get(path).text
    assert "named SmolLM" in "".join(token["glyph"] for token in tokens_on(page))
    answer = annotator.browser.post(path, data=form_of(page, chat_template=PLAIN_TEMPLATE), headers=HTMX)
    assert "SmolLM" not in "".join(token["glyph"] for token in tokens_on(answer.text))
    assert "chat_template=" in answer.headers["HX-Replace-Url"]
    long = PLAIN_TEMPLATE + "{# " + "x" * 3000 + " #}"
    answer = annotator.browser.post(path, data=form_of(page, chat_template=long), headers=HTMX)
    assert answer.status_code == 200
    assert "chat_template=" not in answer.headers["HX-Replace-Url"]


def test_a_template_that_writes_the_date_is_shown_with_todays(
    annotator: Person, make: MakeConversation, model_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/conversations/{make()}/mask"
    sent = form_of(
        annotator.browser.get(path).text,
        chat_template="{{ strftime_now('%Y-%m-%d') }}" + PLAIN_TEMPLATE,
    )
    for day in (3, 4):
        clock = SimpleNamespace(now=lambda day=day: datetime.fromisoformat(f"2025-02-0{day}T23:59:58"))
        monkeypatch.setattr(service, "datetime", clock)
        answer = annotator.browser.post(path, data=sent, headers=HTMX)
        assert "".join(token["glyph"] for token in tokens_on(answer.text)).startswith(f"2025-02-0{day}")


def test_a_refusal_says_why_and_what_to_do_in_the_readers_language(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    spelled = [{"role": "user", "content": "<|im_end|>"}, DIALOGUE[1]]
    path = f"/conversations/{make(spelled)}/mask"
    refused = annotator.browser.get(path, params={"control_tokens": "refuse"})
    assert refused.status_code == 422
    text = visible_text(refused.text)
    assert "Turn 1 spells the control token" in text
    assert "Edit turn 1 of the conversation" in text
    assert tokens_on(refused.text) == []
    chinese = annotator.browser.get(
        path, params={"control_tokens": "refuse"}, headers={"Accept-Language": "zh-CN"}
    )
    assert "第 1 条写有控制 token" in visible_text(chinese.text)
    assert "Turn 1" not in visible_text(chinese.text)


def test_a_template_that_cannot_be_proven_or_compiled_is_refused(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    path = f"/conversations/{make()}/mask"
    page = annotator.browser.get(path).text
    deep, bomb = "{{ 1" + "+1" * 40_000 + " }}", "{{ 'a'" + "|replace('a', 'aaaaaaaaaa')" * 11 + " }}"
    for template in (DROPS_TURNS, "{% for %}", "x" * 100_001, "{{ ''.__class__ }}", deep, bomb):
        answer = annotator.browser.post(path, data=form_of(page, chat_template=template), headers=HTMX)
        assert answer.status_code == 422, template[:20]
        assert "There is no exact mask to show" in answer.text
        assert tokens_on(answer.text) == []


def test_a_refusal_calls_the_template_by_a_name_that_the_reader_knows(
    annotator: Person, make: MakeConversation, make_model: MakeModel
) -> None:
    path = f"/conversations/{make()}/mask"
    broken, bare = make_model("Broken-7B", "{% for %}"), make_model("Bare-7B", "{{ messages[0].content }}")
    with_own = visible_text(annotator.browser.get(path, params={"base_model": broken}).text)
    assert "The chat template Broken-7B does not compile" in with_own
    assert "Broken-7B" in visible_text(annotator.browser.get(path, params={"base_model": bare}).text)
    query = {"base_model": bare, "chat_template": "{% if %}"}
    assert "The chat template you pasted does not compile" in visible_text(
        annotator.browser.get(path, params=query).text
    )
    chinese = annotator.browser.get(path, params=query, headers={"Accept-Language": "zh-CN"})
    assert "你粘贴的" in visible_text(chinese.text)


def test_a_model_without_a_template_asks_for_one_and_takes_a_pasted_one(
    annotator: Person, make: MakeConversation, make_model: MakeModel, tmp_path: Path
) -> None:
    number, model = make(), make_model("Bare-7B", PLAIN_TEMPLATE)
    (tmp_path / "Bare-7B" / "chat_template.jinja").unlink()
    path = f"/conversations/{number}/mask"
    refused = annotator.browser.get(path, params={"base_model": model})
    assert refused.status_code == 422
    assert "“Bare-7B” has no chat template; paste one" in visible_text(refused.text)
    assert "Try one sample per assistant turn" not in visible_text(refused.text)
    shown = annotator.browser.get(path, params={"base_model": model, "chat_template": PLAIN_TEMPLATE})
    assert shown.status_code == 200
    assert trained_turns(shown.text) == {1, 3}


def test_wrong_fields_are_named_in_one_sentence(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    path = f"/conversations/{make()}/mask"
    for query, sentence in (
        ({"max_length": "abc"}, "Length limit: enter a whole number from 1 to 1,000,000"),
        ({"max_length": "0"}, "Length limit: enter a whole number from 1"),
        ({"train_on": "everybody"}, "Strategy: choose one of assistant, last_assistant, content, all."),
        ({"flags": "x"}, "flags must look like 3:1,5:0."),
        ({"flags": "9:1"}, "There is no turn 10."),
        ({"compare": "strategy:none"}, "Compare with a strategy or with a base model."),
        ({"train_reasoning": "maybe"}, "Thinking: choose one of true, false."),
        ({"base_model": "99"}, "There is no base model 99."),
    ):
        answer = annotator.browser.get(path, params=query)
        assert answer.status_code == 422
        assert sentence in visible_text(answer.text)


def test_without_a_model_the_page_says_what_to_do_next(annotator: Person, make: MakeConversation) -> None:
    answer = annotator.browser.get(f"/conversations/{make()}/mask")
    assert answer.status_code == 200
    assert 'href="/base-models"' in answer.text
    assert "No base model is ready" in answer.text


def test_an_unknown_conversation_is_not_found(annotator: Person, model_id: int) -> None:
    assert annotator.browser.get("/conversations/404/mask").status_code == 404


def test_previous_and_next_keep_the_settings_and_the_list(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    first, _left_out, second = make(), make([{"role": "assistant", "content": "Hm."}]), make()
    html = annotator.browser.get(
        f"/conversations/{first}/mask", params={"q": "cost", "handling": "per_turn", "flags": "1:0"}
    ).text
    address = re.search(r'href="([^"]+)" rel="next"', html)
    assert address is not None
    assert (
        address[1] == f"/conversations/{second}/mask?q=cost&amp;base_model={model_id}&amp;handling=per_turn"
    )
    assert f'href="/conversations/{first}?q=cost"' in html


def test_a_link_to_a_token_is_carried_to_the_script_and_one_that_is_gone_is_said(
    annotator: Person, make: MakeConversation, model_id: int
) -> None:
    path = f"/conversations/{make()}/mask"
    assert 'data-token="5"' in annotator.browser.get(path, params={"token": "5"}).text
    gone = annotator.browser.get(path, params={"token": "5000"}).text
    assert "There is no token 5000 in this sample." in visible_text(gone)


def test_message_text_is_never_markup(annotator: Person, make: MakeConversation, model_id: int) -> None:
    nasty = "<script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }}"
    html = annotator.browser.get(
        f"/conversations/{make([{'role': 'user', 'content': nasty}, DIALOGUE[1]])}/mask"
    ).text
    assert "<script>alert" not in html
    assert "<img" not in html
    assert " style=" not in html
    assert "onerror" not in re.sub(r">[^<]*<", "><", html)


def test_the_preview_reads_only(
    app: FastAPI, annotator: Person, make: MakeConversation, model_id: int
) -> None:
    """Looking at masks must not wait for, nor hold up, somebody who saves."""
    path = f"/conversations/{make()}/mask"
    form = form_of(annotator.browser.get(path).text)
    with transaction(app.state.engine):  # holds SQLite's only write lock
        assert annotator.browser.get(path).status_code == 200
        assert annotator.browser.post(path, data=form, headers=HTMX).status_code == 200
        body = {"base_model_id": model_id, "messages": DIALOGUE}
        assert annotator.api.post("/api/v1/mask-previews", json=body).status_code == 200


def test_a_stranger_sees_nothing(app: FastAPI, annotator: Person, make: MakeConversation) -> None:
    number = make()
    annotator.browser.cookies.clear()
    assert annotator.browser.get(f"/conversations/{number}/mask").status_code in {303, 401}
    assert annotator.browser.get("/help/masking").status_code in {303, 401}


def test_rest_names_what_is_wrong(annotator: Person, make: MakeConversation, model_id: int) -> None:
    body = {"base_model_id": model_id, "conversation_id": make(), "settings": {"train_on": "x"}}
    answer = annotator.api.post("/api/v1/mask-previews", json=body)
    assert answer.status_code == 422
    assert "settings.train_on must be one of: assistant" in problem_of(answer)
