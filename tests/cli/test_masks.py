"""`masks preview|verify` as scripts use them: JSON on stdout, sentences on stderr, exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli.masks.command import app
from app.core.i18n import use_locale
from app.mask_settings.fields import MASK_FIELDS
from tests.support.masks import ATTACK, chat

GOOD = json.dumps(chat("a", "b"))


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
    assert len(shown["checks"]) == 9


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


def test_verify_for_people_says_of_each_check_what_passed(smollm2_folder: Path, lines: Path) -> None:
    result = run("verify", "--model", str(smollm2_folder), "--input", str(lines))
    assert "\npassed exact_mask\n" in result.stdout
    assert "passed refused" not in result.stdout


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
        "\n".join(
            json.dumps(one)
            for one in ({"messages": [{"role": "narrator", "content": "x"}]}, chat("Hi", "Hello"))
        )
    )
    result = run("preview", "--model", str(smollm2_folder), "--input", str(path), "--json")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert "Line 1, message 1: the role “narrator”" in " ".join(result.stderr.split())


def test_text_for_people_is_in_their_language_and_json_is_not(smollm2_folder: Path, lines: Path) -> None:
    arguments = ("--model", str(smollm2_folder), "--input", str(lines))
    with use_locale("zh-CN"):
        shown = run("preview", *arguments).stdout
        report = run("verify", *arguments)
        machine = run("preview", *arguments, "--json").stdout
        refused = run("preview", "--model", str(smollm2_folder), "--input", "-", text='{"messages": []}')
    assert "训练    助手       'Hello'\n".replace(" ", "") in shown.replace(" ", "")
    assert "通过 end_of_turn: 选中的每一条，结束符都参与训练。\n" in shown
    assert "策略 assistant" in shown
    assert "\n通过 end_of_turn\n" in report.stdout
    assert report.stdout.startswith("对话")
    assert "The end of every chosen turn is trained." in machine
    assert "第 1 行的对话" in refused.stderr
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


def test_control_tokens_are_kept_as_text_or_refused(smollm2_folder: Path) -> None:
    arguments = ("--model", str(smollm2_folder), "--input", "-", "--json")
    text = json.dumps(chat(ATTACK, "No."))
    kept = run("verify", *arguments, text=text)
    assert (kept.exit_code, json.loads(kept.stdout)["control_tokens"]) == (0, "neutralise")
    for verb in ("preview", "verify"):
        refused = run(verb, *arguments, "--control-tokens", "refuse", text=text)
        assert refused.exit_code == 1
        assert "spells the control token" in refused.stdout + refused.stderr
    wrong = run("verify", *arguments, "--control-tokens", "ignore", text=text)
    assert (wrong.exit_code, wrong.stdout) == (2, "")


def test_reasoning_can_be_left_out_and_another_template_tried(
    smollm2_folder: Path, trl_templates: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "other.jinja"
    file.write_text("\ufeff" + trl_templates["qwen3"], encoding="utf-8")
    conversation = chat("Hi", "Hello")
    conversation["messages"][1]["reasoning_content"] = "Greets."
    text = json.dumps(conversation)
    arguments = ("preview", "--model", str(smollm2_folder), "--input", "-", "--chat-template", str(file))
    with_it = json.loads(run(*arguments, "--json", text=text).stdout)
    without = json.loads(run(*arguments, "--json", "--no-reasoning", text=text).stdout)
    check_contract(with_it)
    assert with_it["text"] == without["text"]
    assert "Greets." in "".join(token["text"] for token in with_it["tokens"] if token["trained"])
    assert "Greets." not in "".join(token["text"] for token in without["tokens"] if token["trained"])
    for content, words in (("", "holds no chat template"), ("{% for", "does not compile")):
        file.write_text(content)
        refused = run(*arguments, text=text)
        assert refused.exit_code in (1, 2)
        assert words in refused.stderr
    assert "Cannot read" in run(*arguments[:-1], str(tmp_path / "none"), text=text).stderr


@pytest.mark.parametrize("length", ["0", "-1", "abc", ""])
def test_a_length_that_is_none_is_a_usage_error(smollm2_folder: Path, length: str) -> None:
    result = run("verify", "--model", str(smollm2_folder), "--input", "-", "--max-length", length, text=GOOD)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_turn_may_be_cut_down_to_one_token(smollm2_folder: Path) -> None:
    arguments = ("--model", str(smollm2_folder), "--input", "-", "--max-length", "1", "--json")
    shown = run("preview", *arguments, text=GOOD)
    assert len(json.loads(shown.stdout)["tokens"]) == 1
    assert run("verify", *arguments, text=GOOD).exit_code == 1


def test_a_report_names_its_settings_as_everywhere_and_the_strategy_by_its_older_name_too(
    smollm2_folder: Path, lines: Path
) -> None:
    result = run(
        "verify", "--model", str(smollm2_folder), "--input", str(lines), "--train-on", "all", "--json"
    )
    report = json.loads(result.stdout)
    assert set(report["settings"]) == {one.name for one in MASK_FIELDS}
    assert {name: report[name] for name in report["settings"]} == report["settings"]
    assert report["strategy"] == report["settings"]["train_on"] == "all"
