"""The child that renders: what it answers, what it may use, and what it does not even load."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.files import CODE_FOLDER
from app.masking.templates import isolated, isolated_child

SOURCE = "{% if messages[0] == 'fail' %}{{ raise_exception('no') }}{% endif %}{{ messages | join }}"


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        isolated.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == isolated_child.READY
        yield process
        process.kill()


def ask(child: "subprocess.Popen[bytes]", **request: Any) -> dict[str, Any]:
    stdin, stdout = child.stdin, child.stdout
    assert stdin is not None
    assert stdout is not None
    stdin.write(json.dumps(request).encode() + b"\n")
    stdin.flush()
    answer: dict[str, Any] = json.loads(stdout.readline())
    return answer


def rendering(*messages: str) -> dict[str, Any]:
    return {"messages": list(messages), "variables": {}, "moment": None}


def test_it_reads_one_template_and_renders_what_it_is_asked(child: "subprocess.Popen[bytes]") -> None:
    assert ask(child, source=SOURCE) == {}
    assert ask(child, **rendering("a", "b"))["text"] == "ab"
    assert ask(child, reads=True)["names"] == ["messages"]
    answer = ask(child, **rendering("a"))
    assert set(answer) == {"text", "seconds"}


def test_a_failure_comes_as_a_sentence_and_many_at_once_name_none(child: "subprocess.Popen[bytes]") -> None:
    ask(child, source=SOURCE)
    assert "no" in json.dumps(ask(child, **rendering("fail"))["failed"])
    many = {"many": [["a"], ["fail"], ["b"]], "variables": {}, "moment": None}
    assert ask(child, **many)["texts"] == ["a", None, "b"]


def test_a_text_far_longer_than_what_it_is_made_of_is_not_sent(child: "subprocess.Popen[bytes]") -> None:
    ask(child, source="{% for i in range(9999) %}{{ 'abcdefghij' * 50 }}{% endfor %}")
    assert ask(child, **rendering("a"))["unsafe"] is True


def test_it_writes_no_file_and_ends_with_its_input(child: "subprocess.Popen[bytes]") -> None:
    ask(child, source=SOURCE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(60) == 0


def test_it_loads_neither_numbers_nor_tokenizers() -> None:
    """Every template waits for this start."""
    code = isolated.CODE.replace("main()", "import json; print(json.dumps(sorted(sys.modules)))")
    command = [sys.executable, "-I", "-c", code, str(CODE_FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert {"numpy", "tokenizers", "safetensors"}.isdisjoint(json.loads(done.stdout))
