"""Templates that mean harm, wherever they are rendered: no hang, no swelling, a sentence, no process left."""

import json
import os
import resource
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.line_process import LineProcess
from app.mask_checks.report import MaskReport
from app.masking import ChatTokenizer, MaskingError, MaskSettings, TemplateUnsafe, mask_conversation, verify
from app.masking.templates.isolated import IsolatedTemplate
from tests.support.masks import chat
from tests.support.processor_time import works_at_most

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TRIGGER = "now"
# Each behaves until a conversation says the word. What does not run out of time runs out of memory.
LATER = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a huge string": "{% set x = 'a' * 900000 %}{{ x.replace('a', x) | length }}",
    "doubles a string": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "squares a number": "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "grows a list": "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "grows a dict": (
        "{% set n = namespace(x={}) %}{% for i in range(99999) %}{% for j in range(999) %}"
        "{% set n.x = dict(n.x, **{i ~ '-' ~ j: 'a' * 9999}) %}{% endfor %}{% endfor %}"
    ),
    "compares twins": (
        "{% set n = namespace(a=[], b=[]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}"
        "{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}"
    ),
    "hashes a tower": (
        "{% set n = namespace(a=()) %}{% for i in range(60) %}{% set n.a = (n.a, n.a) %}{% endfor %}{{ {n.a: 1} }}"
    ),
    "tojson of a tower": (
        "{% set n = namespace(a=[]) %}{% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% endfor %}"
        "{{ n.a | tojson }}"
    ),
    "a macro of macros": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "wide columns": "{{ ('a' * 999999) | wordwrap(1) | indent(999999) | length }}",
    "lorem ipsum": "{{ lipsum(n=9999, min=999, max=9999) }}{{ lipsum(n=9999, min=999, max=9999) }}",
    "a flood": "{% for i in range(99) %}{{ 'abcdefgh ' * 99999 }}{% endfor %}",
    "spins a cycler": (
        "{% set c = cycler('a', 'b') %}{% for i in range(99999) %}{% for j in range(9999) %}"
        "{% set _ = c.next() %}{% endfor %}{% endfor %}"
    ),
}
# Each is refused with the template's own fault, or is harmless.
TRICKS = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ (messages | attr('__class__')).__base__ }}",
    "{{ cycler.__init__.__globals__.os.system('touch x') }}",
    "{{ joiner.__init__.__globals__['os'].popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}{{ self._TemplateReference__context }}",
    "{{ '%s' | format(messages.__class__) }}{{ '{0.__class__.__mro__}'.format(messages) }}",
    "{{ ('{0.__cla' ~ 'ss__}').format(1) }}{{ '{0.__class__}'.format_map({'0': 1}) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.system('id') }}",
    "{% from 'x' import y %}",
    "{% extends '/etc/passwd' %}",
    "{{ raise_exception('%(template)s %s %d {0}') }}",
    "{{ range(10 ** 9) | list }}",
    "{% for m in messages recursive %}{{ loop([loop.previtem]) }}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ [0] | map(attribute='__class__') | list }}{{ [0] | map('attr', '__class__') | list }}",
    "{{ ['a'] | groupby('__class__') | list }}{{ ['a'] | sort(attribute='__class__') }}",
    "{{ dict.__call__.__globals__ }}{{ dict.fromkeys.__func__.__globals__ }}",
    "{{ strftime_now.__globals__ }}{{ raise_exception.__globals__ }}{{ strftime_now('%Y' * 999) }}",
    "{{ messages.append(1) }}",
    "{{ '\\ud83d' }}",
    "{{ '\\x00' }}{{ '\\u2028' }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 'a' | center(10 ** 10) }}",
    "{{ " + "(" * 300 + "1" + ")" * 300 + " }}",
    "{{ 1" + " + 1" * 20_000 + " }}",
    "{{ 'a'" + " ~ 'a'" * 20_000 + " }}",
    "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "{{ 'a' * 900000 * 1 * 1 }}" * 9,
    "{{ range(10 ** 9) | sum }}",
    "{{ " + "9" * 5000 + " }}",
    "{{ 1" + ".1" * 9000 + " }}",
    "{{ range(10 ** 6) | list | length }}{{ range(999999) | batch(1) | list | string }}",
    "{% for a in [[[[]] * 9] * 9] * 9 recursive %}{{ loop([a, a]) if a is iterable }}{% endfor %}",
)


@pytest.fixture(scope="module")
def model(smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose template the tests write."""
    folder = tmp_path_factory.mktemp("hostile") / "model"
    folder.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).symlink_to(smollm2_folder / file)
    return folder


def triggered(name: str) -> str:
    return CHATML + "{% if messages[0].content == '" + TRIGGER + "' %}" + LATER[name] + "{% endif %}"


@pytest.mark.parametrize("name", sorted(LATER))
def test_what_waits_for_the_second_conversation_harms_nobody(name: str, smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(triggered(name), name)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with works_at_most(10):
        mask_conversation(tokenizer, chat("before", "a"), MaskSettings())
        with pytest.raises(TemplateUnsafe, match=name):
            mask_conversation(tokenizer, chat(TRIGGER, "a"), MaskSettings())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100 * 1024
    assert mask_conversation(tokenizer, chat("after", "a"), MaskSettings()).samples


@pytest.mark.parametrize("source", TRICKS, ids=lambda source: source[:40])
def test_a_trick_is_a_sentence_or_nothing(source: str, smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(CHATML + source, "trick")
    said = "trick"
    with works_at_most(10):
        try:
            mask_conversation(tokenizer, chat("q", "a"), MaskSettings())
        except MaskingError as error:
            said = str(error)
    assert "trick" in said


def test_a_version_of_many_is_stopped_at_the_one_that_harms(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(triggered("loops"), "picky")
    many = [(number, chat(TRIGGER if number == 700 else f"q{number}", "a")) for number in range(900)]
    with works_at_most(15), pytest.raises(TemplateUnsafe, match="picky"):
        verify(tokenizer, many, MaskSettings())


def test_many_at_once_are_what_each_is_alone(smollm2: ChatTokenizer) -> None:
    source = CHATML + "{% if messages[0].content == 'no' %}{{ raise_exception('not this one') }}{% endif %}"
    many = [
        (number, chat("no" if number % 7 == 3 else f"q {number} 你", f"a {number}")) for number in range(300)
    ]
    closed = verify(smollm2.with_chat_template(source, "t"), many, MaskSettings())
    here = verify(smollm2.with_chat_template(source, "t", trusted=True), many, MaskSettings())
    assert MaskReport.of(closed[0]).to_json() == MaskReport.of(here[0]).to_json()
    assert closed[0].refused == 43


def test_a_process_is_not_used_again_after_a_question_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    template = IsolatedTemplate("{{ messages[0].content }}")
    assert template.render([{"content": "one"}], {}) == "one"

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LineProcess, "read_line", interrupted)
        with pytest.raises(KeyboardInterrupt):
            template.render([{"content": "two"}], {})
    assert template.render([{"content": "three"}], {}) == "three"


@pytest.mark.parametrize("verb", ["preview", "verify"])
def test_the_command_says_so_and_leaves_no_process(verb: str, model: Path) -> None:
    (model / "chat_template.jinja").write_text(triggered("squares a number"), encoding="utf-8")
    lines = "\n".join(json.dumps(chat(text, "a")) for text in ("before", TRIGGER, "after"))
    command = [
        sys.executable,
        "-m",
        "app.cli",
        "masks",
        verb,
        "--model",
        str(model),
        "--input",
        "-",
        "--json",
    ]
    # A child gets the path and little else of the environment, so it tells this command's children from others.
    path = f"{os.environ['PATH']}:/{uuid.uuid4()}"
    environment: dict[str, Any] = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": path}
    done = subprocess.run(
        command, input=lines, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "is refused: a rendering took longer than 2 seconds" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stdout.splitlines()) == (1 if verb == "preview" else 0)
    running = [process.info["environ"] or {} for process in psutil.process_iter(["environ"])]
    assert [variables for variables in running if variables.get("PATH") == path] == []
