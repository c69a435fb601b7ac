"""Templates of strangers render in a process of their own: whatever one does, this one goes on, and it means the same."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from app.files import CODE_FOLDER
from app.masking import (
    ChatTokenizer,
    MaskingError,
    MaskSettings,
    TemplateFailed,
    TemplateUnsafe,
    mask_conversation,
)
from app.masking.templates import isolated, isolated_child
from app.masking.templates.chat_template import ChatTemplate
from app.masking.templates.isolated import IsolatedTemplate
from tests.masking.templates.test_chat_template import MEANINGS, MESSAGES
from tests.support.held_renderers import hold_renderers
from tests.support.masks import ATTACK, chat
from tests.support.processes import all_gone
from tests.support.processor_time import works_at_most
from tests.support.workers import wait_until

HANGS_AFTER_SECONDS = 120
# A bomb is asked for alone and together with others, and each time its process takes the limit and a start.
SECONDS_OF_A_BOMB = 3 * (isolated_child.RENDER_SECONDS + 1)
BOMBS = {
    "constants": "{{ 'a'" + "|replace('a', 'aaaaaaaaaa')" * 11 + " }}",
    "nested loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{%"
    " endfor %}{% endfor %}"
    "{% endfor %}",
    "doubling": "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ "
    "ns.x %}{% endfor %}",
    "wide padding": "{{ 'x' | center(4000000000) }}",
    "wide format": "{{ '%4000000000d' | format(1) }}",
    "a long text": "{% for a in range(9999) %}{% for b in range(99) %}{{ 'abcdefghij' }}{% endfor "
    "%}{% endfor %}",
    "only in long conversations": "{% if messages | length > 20 %}{% for a in range(9999) %}{% for b "
    "in range(9999) %}"
    "{% for c in range(99) %}{% endfor %}{% endfor %}{% endfor %}{% endif %}",
    "only with tools": "{% if tools %}{{ 'x' | center(4000000000) }}{% endif %}",
    "sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
}


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    isolated.close_renderers()
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


@pytest.fixture
def short_renderings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rendering may work for a quarter of its time: what has no end shows the same by then."""
    quarter = "from app.masking.templates import isolated_child; isolated_child.RENDER_SECONDS /= 4; isolated_child.main()"
    code = f"import sys; sys.path.insert(0, sys.argv[1]); {quarter}"
    monkeypatch.setattr(isolated, "COMMAND", (sys.executable, "-I", "-c", code, str(CODE_FOLDER)))


@pytest.fixture(scope="module")
def closed(smollm2_folder: Path) -> ChatTokenizer:
    return ChatTokenizer.from_folder(smollm2_folder)


@pytest.mark.parametrize("source", MEANINGS)
def test_a_template_means_the_same_in_its_own_process(source: str) -> None:
    variables = {"bos_token": "<s>", "eos_token": "</s>", "on": True}
    moment = datetime.fromisoformat("2025-02-03T04:05:06")
    here = ChatTemplate(source).render(MESSAGES, variables, moment=moment)
    assert IsolatedTemplate(source).render(MESSAGES, variables, moment=moment) == here


def test_masks_are_the_same_in_isolation(closed: ChatTokenizer, smollm2: ChatTokenizer) -> None:
    conversation = chat(ATTACK, "No. 你好", "r", "Six.")
    one, two = (
        mask_conversation(tokenizer, conversation, MaskSettings()).samples[0]
        for tokenizer in (closed, smollm2)
    )
    assert one.input_ids.tolist() == two.input_ids.tolist()
    assert one.labels.tolist() == two.labels.tolist()


def test_what_a_template_reads_is_found_in_its_own_process() -> None:
    assert IsolatedTemplate("{{ enable_thinking }}{% set x = 1 %}{{ x }}").reads == {"enable_thinking"}


def test_a_templates_own_words_come_out_of_isolation() -> None:
    with pytest.raises(TemplateFailed, match=r"The chat template strict cannot render .*: must alternate"):
        IsolatedTemplate("{{ raise_exception('must alternate') }}", "strict").render(MESSAGES, {})
    with pytest.raises(TemplateFailed, match="broken does not compile"):
        IsolatedTemplate("{% for", "broken").render(MESSAGES, {})


@pytest.mark.usefixtures("short_renderings")
@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_goes_off_in_the_child(name: str, closed: ChatTokenizer) -> None:
    tokenizer = closed.with_chat_template(BOMBS[name], name)
    conversation = {**chat(*"qa" * 12), "tools": [{"type": "function", "function": {"name": "f"}}]}
    with works_at_most(SECONDS_OF_A_BOMB), pytest.raises(MaskingError, match=name):
        mask_conversation(tokenizer, conversation, MaskSettings())


def test_a_bomb_for_this_very_conversation_is_refused_when_it_goes_off(smollm2: ChatTokenizer) -> None:
    source = "{% if 'secret word' in messages[0].content %}{{ 'x' | center(4000000000) }}{% endif %}"
    with pytest.raises(TemplateFailed, match="picky did something the sandbox forbids"):
        mask_conversation(
            smollm2.with_chat_template(source, "picky"), chat("secret word", "a"), MaskSettings()
        )


LATER = {
    "loops over every pair, and again": (
        "{% for a in messages %}{% for b in messages %}{% for c in messages %}{% for d in messages %}"
        "{% for e in messages %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
        chat(*"qa" * 60),
    ),
    "doubles what one message asks for": (
        "{% set ns = namespace(x='a') %}{% if messages[0].content == 'boom' %}{% for i in range(60) %}"
        "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{% endif %}{{ ns.x }}",
        chat("boom", "a"),
    ),
    "replaces much by much": (
        "{% set x = 'a' * (900000 if messages[0].content == '1' else 1) %}{{ x.replace('a', x) | length }}",
        chat("1", "a"),
    ),
    "calls itself twice": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
        "{{ f(messages | length) }}",
        chat(*"qa" * 40),
    ),
}


@pytest.mark.usefixtures("short_renderings")
@pytest.mark.parametrize("name", sorted(LATER))
def test_a_template_that_behaved_at_first_is_still_watched(name: str, closed: ChatTokenizer) -> None:
    source, conversation = LATER[name]
    body = "{% for m in messages %}{{ m.role + m.content + '<|im_end|>' }}{% endfor %}"
    tokenizer = closed.with_chat_template(body + source, name)
    tokenizer.render(chat("q", "a")["messages"])
    with works_at_most(SECONDS_OF_A_BOMB), pytest.raises(TemplateUnsafe, match=name):
        mask_conversation(tokenizer, conversation, MaskSettings())
    tokenizer.render(chat("q", "a")["messages"])  # a new process is started


@pytest.mark.usefixtures("short_renderings")
def test_a_template_that_is_slow_again_and_again_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolated, "MOST_SLOW_SECONDS", 3)
    monkeypatch.setattr(isolated, "SLOW_WITHIN_SECONDS", 3600)  # however busy the machine is
    template = IsolatedTemplate(BOMBS["nested loops"], "slow")
    for _ in range(2):
        with pytest.raises(TemplateUnsafe, match="longer than"):
            template.render([], {})
    with pytest.raises(TemplateUnsafe, match="its last renderings took"):
        template.render([], {})
    assert template.source not in [
        kept.source for kept in isolated._renderers._kept
    ]  # none was started for it
    # It is not held against it for ever: what was slow may have been one conversation.
    monkeypatch.setattr(isolated, "SLOW_WITHIN_SECONDS", 0)
    with pytest.raises(TemplateUnsafe, match="longer than"):
        template.render([], {})


def test_many_threads_and_many_templates_share_few_processes() -> None:
    before = len(psutil.Process().children())
    templates = [IsolatedTemplate(f"{number}{{{{ messages[0].content }}}}") for number in range(7)]
    found: list[bool] = []

    def work(number: int) -> None:
        for place in range(12):
            template = (number + place) % len(templates)
            text = templates[template].render([{"role": "user", "content": str(place)}], {})
            found.append(text == f"{template}{place}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 48
    assert len(psutil.Process().children()) - before <= isolated.MOST_RENDERERS


def test_a_slow_template_does_not_hold_up_the_processes_of_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody waits for somebody else's rendering as long as a place is free."""
    hold_renderers(monkeypatch, let_go := tmp_path / "go", "range(9999)")
    slow = [
        IsolatedTemplate(f"{number}{BOMBS['nested loops']}") for number in range(isolated.MOST_RENDERERS - 1)
    ]
    ended: list[str] = []

    def hang(template: IsolatedTemplate) -> None:
        with pytest.raises(TemplateUnsafe):
            template.render([], {})
        ended.append("slow")

    threads = [threading.Thread(target=hang, args=(template,)) for template in slow]
    for thread in threads:
        thread.start()
    wait_until(
        lambda: len([one for one in list(isolated._renderers._taken.values()) if one]) == len(slow),
        timeout_seconds=HANGS_AFTER_SECONDS,
        what="all the slow ones at once",
    )
    for number in range(3):  # the second one needs the place of the first
        IsolatedTemplate(f"{{{{ {number} }}}}").render([], {})
        ended.append("quick")
    assert ended == ["quick"] * 3
    let_go.touch()
    for thread in threads:
        thread.join(60)
    assert ended[3:] == ["slow"] * len(slow)


def test_who_finds_every_process_taken_is_told_so_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "PLACE_SECONDS", 0.1)
    held = [isolated._renderers._places.acquire(timeout=60) for _ in range(isolated.MOST_RENDERERS)]
    assert all(held)
    try:
        with pytest.raises(MaskingError, match="Too many chat templates"):
            IsolatedTemplate("{{ 1 }}").render([], {})
    finally:
        for _ in held:
            isolated._renderers._places.release()
    assert IsolatedTemplate("{{ 1 }}").render([], {}) == "1"


def test_a_child_ends_with_its_parent() -> None:
    code = (
        "import os, threading, time\n"
        "from app.masking.templates import isolated\n"
        "from app.masking.templates.isolated import IsolatedTemplate\n"
        "IsolatedTemplate('{{ 1 }}').render([], {})\n"
        "loops = IsolatedTemplate('{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}')\n"
        "threading.Thread(target=loops.render, args=([], {}), daemon=True).start()\n"
        "used = []\n"
        "while len(used) < 2:\n"
        "    time.sleep(0.05)\n"
        "    used = [one for one in [*isolated._renderers._kept, *isolated._renderers._taken.values()] if one]\n"
        "print(*[one.process.pid for one in used], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=HANGS_AFTER_SECONDS
    )
    children = [int(pid) for pid in done.stdout.split()]
    assert len(children) == 2
    deadline = time.monotonic() + HANGS_AFTER_SECONDS
    while not all_gone(children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert all_gone(children)


def test_a_template_full_of_long_words_does_not_hold_anybody_up(closed: ChatTokenizer) -> None:
    words = "".join(
        f"{{% if '{'ab' * 20_000}{n}' in messages[0].content %}}x{n}{{% endif %}}" for n in range(2)
    )
    source = words + "{% for m in messages %}{{ m.role + m.content + '<|im_end|>' }}{% endfor %}"
    with works_at_most(5):
        mask_conversation(closed.with_chat_template(source, "wordy"), chat("q", "a"), MaskSettings())
