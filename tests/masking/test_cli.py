"""`masks preview|verify` as scripts use them: JSON on stdout, sentences on stderr, exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli.console import CommandFailed
from app.cli.mask_input import resolve_model
from app.cli.masks import app
from app.core.i18n import use_locale
from tests.masking.test_traps import ATTACK, chat


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=text)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    conversations = [chat("Hi", "Hello 你好"), chat(ATTACK, "No.", "Price?", "Ten a month.")]
    path.write_text(
        "\n\n".join(json.dumps(one, ensure_ascii=False) for one in conversations), encoding="utf-8"
    )
    return path


def check_contract(shown: dict[str, Any]) -> None:
    assert set(shown) == {"text", "strategy", "tokens", "trained", "skipped", "truncated", "checks"}
    for place, token in enumerate(shown["tokens"]):
        assert set(token) == {"index", "id", "text", "start", "end", "trained", "role", "turn", "special"}
        assert token["index"] == place
        assert token["role"] in {"system", "user", "assistant", "tool", "template"}
        assert shown["text"][token["start"] : token["end"]] == token["text"]
        assert (token["turn"] is None) == (token["role"] == "template")
    assert shown["trained"] == sum(token["trained"] for token in shown["tokens"])
    assert shown["trained"] + shown["skipped"] == len(shown["tokens"])
    assert all(set(check) == {"name", "passed", "detail"} for check in shown["checks"])
    assert len(shown["checks"]) == 8


def test_preview_prints_one_object_a_conversation(smollm2_folder: Path, lines: Path) -> None:
    result = run("preview", "--model", str(smollm2_folder), "--input", str(lines), "--json")
    assert result.exit_code == 0
    shown = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(shown) == 2
    for one in shown:
        check_contract(one)
        assert one["strategy"] == "assistant"
        assert all(check["passed"] for check in one["checks"])
    trained = [token for token in shown[1]["tokens"] if token["trained"]]
    assert {token["turn"] for token in trained} == {1, 3}
    assert {token["role"] for token in trained} == {"assistant"}


def test_preview_reads_standard_input_and_one_object_over_lines(smollm2_folder: Path) -> None:
    text = json.dumps(chat("Hi", "Hello", "and?", "more"), indent=2)
    result = run(
        "preview",
        "--model",
        str(smollm2_folder),
        "--input",
        "-",
        "--json",
        "--strategy",
        "last_assistant",
        text=text,
    )
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    check_contract(shown)
    assert {token["turn"] for token in shown["tokens"] if token["trained"]} == {3}


def test_preview_for_people_has_a_line_a_token(smollm2_folder: Path, lines: Path) -> None:
    result = run("preview", "--model", str(smollm2_folder), "--input", str(lines), "--max-length", "40")
    assert result.exit_code == 0
    assert "\x1b[" not in result.stdout  # colours are for terminals
    assert "     0  skip   template   '<|im_start|>'\n" in result.stdout
    assert "  TRAIN  assistant  'Hello'\n" in result.stdout
    assert "passed end_of_turn: The end of every chosen turn is trained.\n" in result.stdout
    assert "strategy assistant" in result.stdout


def test_per_turn_prints_one_object_a_sample(smollm2_folder: Path, lines: Path) -> None:
    result = run(
        "preview", "--model", str(smollm2_folder), "--input", str(lines), "--handling", "per_turn", "--json"
    )
    assert len(result.stdout.splitlines()) == 3


def test_verify_is_green_with_zero_and_red_with_one(
    smollm2_folder: Path, lines: Path, tmp_path: Path
) -> None:
    green = run("verify", "--model", str(smollm2_folder), "--input", str(lines), "--json")
    assert green.exit_code == 0
    report = json.loads(green.stdout)
    assert report["green"]
    assert report["conversations"] == 2
    assert len(report["hash"]) == 64

    red = tmp_path / "red.jsonl"
    red.write_text(json.dumps(chat("a question without an answer")))
    result = run("verify", "--model", str(smollm2_folder), "--input", str(red), "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert not report["green"]
    assert report["failures"][0]["check"] == "trains_something"
    assert "1 of 1 conversations failed: trains_something." in result.stderr


def test_a_refused_conversation_is_named_and_the_others_still_shown(
    smollm2_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text(
        "\n".join(json.dumps(one) for one in ({"messages": [{"role": "bot"}]}, chat("Hi", "Hello")))
    )
    result = run("preview", "--model", str(smollm2_folder), "--input", str(path), "--json")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert "line 1: Turn 1 has the role “bot”" in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no conversation"),
        ("{not json", "line 1: not JSON"),
        (
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{x',
            "line 2: not JSON",
        ),
        ("[1]", "expected an object"),
        ('{\n  "messages": [\n    {"role": "user",, }\n', "line 3: not JSON"),
        ("[" * 100_000, "line 1: not JSON (it is nested too deeply)"),
    ],
)
def test_bad_input_is_one_clear_line(smollm2_folder: Path, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    result = run("verify", "--model", str(smollm2_folder), "--input", str(path), "--json")
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_missing_model_or_file_is_one_clear_line(smollm2_folder: Path, tmp_path: Path) -> None:
    result = run("verify", "--model", "no/such-model", "--input", "-", text="{}")
    assert result.exit_code == 2
    assert "No model “no/such-model”" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    result = run("verify", "--model", str(smollm2_folder), "--input", str(tmp_path / "none.jsonl"))
    assert result.exit_code == 2
    assert "Cannot read" in result.stderr


def test_models_are_found_in_the_studio_and_in_the_hub_cache(
    smollm2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFT_STUDIO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(CommandFailed):
        resolve_model("org/model")
    snapshot = tmp_path / "hub" / "models--org--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").touch()
    assert resolve_model("org/model") == snapshot
    prepared = tmp_path / "data" / "models" / "org--model"
    prepared.mkdir(parents=True)
    (prepared / "tokenizer.json").touch()
    assert resolve_model("org/model") == prepared
    assert resolve_model(str(smollm2_folder)) == smollm2_folder
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandFailed):
        resolve_model("../no-such-folder")


def test_text_for_people_is_in_their_language_and_json_is_not(smollm2_folder: Path, lines: Path) -> None:
    arguments = ("--model", str(smollm2_folder), "--input", str(lines))
    with use_locale("zh-CN"):
        shown = run("preview", *arguments).stdout
        report = run("verify", *arguments)
        machine = run("preview", *arguments, "--json").stdout
        refused = run("preview", "--model", str(smollm2_folder), "--input", "-", text='{"messages": []}')
    assert "训练    助手       'Hello'\n".replace(" ", "") in shown.replace(" ", "")
    assert "通过 end_of_turn: 选中的每一轮，结束符都参与训练。\n" in shown
    assert "策略 assistant" in shown
    assert "\n通过 end_of_turn\n" in report.stdout
    assert report.stdout.startswith("对话")
    assert "The end of every chosen turn is trained." in machine
    assert "第 1 行：" in refused.stderr
    assert refused.exit_code == 1


def test_template_arguments_are_read_as_json_or_text(smollm2_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (model / file).write_bytes((smollm2_folder / file).read_bytes())
    (model / "chat_template.jinja").write_text(
        "{{ [on, number, name, quoted] | string }}{% for m in messages %}"
        "{{ '<|im_start|>' + m.role + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}{{ strftime_now('') }}"
    )
    text = json.dumps(chat("Hi", "Hello"))
    given = ["on=false", "number=3", "name=a=b", 'quoted="3"']
    options = [part for one in given for part in ("--template-argument", one)]
    result = run("preview", "--model", str(model), "--input", "-", "--json", *options, text=text)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["text"].startswith("[False, 3, 'a=b', '3']")
    for wrong, words in (
        (["on"], "wants name=value"),
        (["on=1", "--template-argument", "on=2"], "names on twice"),
        (["off=1"], "does not read the argument “off”; it reads: name, number, on, quoted."),
        (["messages=1"], "leave it out"),
    ):
        for verb in ("preview", "verify"):
            failed = run(
                verb, "--model", str(model), "--input", "-", "--template-argument", *wrong, text=text
            )
            assert failed.exit_code == 2
            assert words in failed.stderr
            assert len(failed.stderr.splitlines()) == 1
            assert failed.stdout == ""


def test_a_check_can_be_repeated_on_the_date_it_names(smollm2_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (model / file).write_bytes((smollm2_folder / file).read_bytes())
    (model / "chat_template.jinja").write_text(
        "{{ strftime_now('%d %B %Y') }}{% for m in messages %}"
        "{{ '<|im_start|>' + m.role + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
    )
    arguments = ("--model", str(model), "--input", "-", "--json", "--date", "2025-02-03")
    text = json.dumps(chat("Hi", "Hello"))
    assert json.loads(run("preview", *arguments, text=text).stdout)["text"].startswith("03 February 2025")
    first, again = (json.loads(run("verify", *arguments, text=text).stdout) for _ in range(2))
    assert first["moment"] == "2025-02-03T00:00:00"
    assert first["hash"] == again["hash"]


def test_input_that_is_not_utf8_is_one_clear_line(smollm2_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"messages": [{"role": "user", "content": "Prei\xdf"}]}'.encode("latin-1"))
    for source, data in ((str(path), None), ("-", path.read_bytes())):
        result = CliRunner().invoke(
            app, ["verify", "--model", str(smollm2_folder), "--input", source], input=data
        )
        assert result.exit_code == 2
        assert "is not UTF-8" in result.stderr
        assert len(result.stderr.splitlines()) == 1
