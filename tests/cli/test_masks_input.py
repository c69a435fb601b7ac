"""What `masks preview|verify` read: files in any layout, models by name or folder, and what is wrong with either."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.masks.command import app
from app.cli.masks.reading import resolve_model
from app.core.console import CommandFailed
from tests.support.masks import chat


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=text)


GOOD = json.dumps(chat("a", "b"))


BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "holds no conversation"),
    "blank": (" \n\n", "holds no conversation"),
    "broken": ("{not json", "Line 1 is not valid JSON"),
    "second line broken": (f"{GOOD}\n{{x", "Line 2 is not valid JSON"),
    "line 37 broken": ("\n".join([GOOD] * 36 + ["{'messages': []}", GOOD]), "Line 37 uses single quotes"),
    "broken over lines": ('{\n  "messages": [\n    {"role": "user",, }\n]}', "Line 3 is not valid JSON"),
    "abyss": ("[" * 100_000, "stops in the middle"),
    "deep": ('{"messages": ' + "[" * 90 + "]" * 90 + "}", "nested more than 64 levels"),
    "NaN": ('{"messages": [], "a": NaN}', "Line 1 contains NaN"),
    "twice": ('{"messages": [], "messages": []}', "field “messages” twice"),
    "digits": ('{"messages": [], "a": ' + "9" * 5000 + "}", "more than 400 digits"),
    "surrogate": ('{"messages": [{"role": "user", "content": "\\ud83d"}]}', "half of a character"),
    "surrogate elsewhere": ('{"messages": [{"role": "tool", "name": "\\ud83d"}]}', "half of a character"),
    "NUL": ('{"messages": [{"role": "user", "content": "\\u0000"}]}', "NUL"),
    "not UTF-8": (b'{"a": "Prei\xff\x81 "}', "Line 1 is not valid UTF-8"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\0" * 90, "7z"),
    "half": (GOOD[:-3], "stops in the middle"),
    "too long": ('{"messages": "' + "x" * (4 << 20) + '"}', "longer than 4 MB"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_is_one_clear_line(smollm2_folder: Path, tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    data = content.encode() if isinstance(content, str) else content
    path = tmp_path / "bad.jsonl"
    path.write_bytes(data)
    for source, sent in ((str(path), None), ("-", data)):
        arguments = ["verify", "--model", str(smollm2_folder), "--input", source, "--json"]
        result = CliRunner().invoke(app, arguments, input=sent)
        assert result.exit_code == 2
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert result.stdout == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\r\n" + GOOD.encode() + b"\r\n",
        (json.dumps(chat("a", "b"), indent=1) + "\n" + json.dumps(chat("a", "b"), indent=1)).encode(),
        GOOD.encode() + b"\n" + GOOD.encode(),
        gzip.compress(f"[{GOOD}, {GOOD}]".encode()),
        f"{GOOD}\n{GOOD}".encode("utf-16"),
    ],
    ids=[
        "byte order mark and CRLF",
        "objects over lines",
        "no line feed at the end",
        "packed list",
        "UTF-16",
    ],
)
def test_what_editors_make_of_a_file_is_read(smollm2_folder: Path, data: bytes) -> None:
    arguments = ["preview", "--model", str(smollm2_folder), "--input", "-", "--json"]
    result = CliRunner().invoke(app, arguments, input=data)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2


CHAT = chat("Wie viel?", "Zehn für Müller – täglich.", "和中文？", "十元。")


TURNS = [
    {"from": "gpt" if place % 2 else "human", "value": one["content"]}
    for place, one in enumerate(CHAT["messages"])
]


ALPACA = {
    "instruction": CHAT["messages"][2]["content"],
    "output": CHAT["messages"][3]["content"],
    "history": [[one["content"] for one in CHAT["messages"][:2]]],
}


ROWS = ["conversation_id,role,content", *(f"1,{one['role']},{one['content']}" for one in CHAT["messages"])]


LAYOUTS: dict[str, bytes] = {
    "sharegpt": json.dumps({"conversations": TURNS}).encode(),
    "alpaca": json.dumps([ALPACA]).encode(),
    "csv": "\n".join(ROWS).encode(),
    "GB 18030": json.dumps(CHAT, ensure_ascii=False).encode("gb18030"),
}


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_same_dialogue_has_the_same_mask_in_any_layout(
    smollm2_folder: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "chats"
    path.write_bytes(LAYOUTS[name])
    model = ("--model", str(smollm2_folder), "--json")
    plain = run("preview", *model, "--input", "-", text=json.dumps(CHAT))
    shown = run("preview", *model, "--input", str(path))
    assert (shown.exit_code, shown.stdout) == (0, plain.stdout)


def test_a_file_of_llamafactory_is_read_by_its_dataset_info(smollm2_folder: Path, tmp_path: Path) -> None:
    turns = [
        {"who": ("human", "bot")[place % 2], "says": one["content"]}
        for place, one in enumerate(CHAT["messages"])
    ]
    log, info = tmp_path / "talks.json", tmp_path / "dataset_info.json"
    log.write_text(json.dumps([{"talk": turns}]))
    tags = {"role_tag": "who", "content_tag": "says", "user_tag": "human", "assistant_tag": "bot"}
    entry = {
        "file_name": "talks.json",
        "formatting": "sharegpt",
        "columns": {"messages": "talk"},
        "tags": tags,
    }
    info.write_text(json.dumps({"talks": entry}))
    model = ("--model", str(smollm2_folder), "--json")
    plain = run("preview", *model, "--input", "-", text=json.dumps(CHAT))
    told = ("--input", str(log), "--dataset-info", str(info))
    assert run("preview", *model, *told).stdout == plain.stdout
    last = json.loads(run("preview", *model, *told, "--mask", "last_assistant").stdout)
    assert {token["turn"] for token in last["tokens"] if token["trained"]} == {3}
    assert run("verify", *model, *told).exit_code == 0
    for wrong, said in (
        (("--dataset-info-entry", "no"), "has no entry “no”"),
        (("--dataset-info", str(tmp_path / "none")), "Cannot read"),
    ):
        refused = run("verify", *model, *told, *wrong)
        assert (refused.exit_code, said in refused.stderr, len(refused.stderr.splitlines())) == (2, True, 1)
    alone = run("verify", *model, "--input", str(log), "--dataset-info-entry", "talks")
    assert (alone.exit_code, "no dataset_info.json is given" in alone.stderr) == (2, True)


def test_a_file_of_an_unknown_layout_is_read_by_a_mapping(smollm2_folder: Path, tmp_path: Path) -> None:
    log, mapping = tmp_path / "log.csv", tmp_path / "log.yaml"
    log.write_bytes("對話,誰,話\n1,客戶,多少錢？\n1,小王,每月九十九元。\n".encode("big5"))
    mapping.write_text(
        "turns: rows\nconversation: 對話\nside: 誰\ntext: 話\nsides: {客戶: user, 小王: assistant}\n"
    )
    model = ("--model", str(smollm2_folder), "--input", str(log))
    told = run("preview", *model, "--encoding", "big5", "--mapping", str(mapping), "--json")
    assert told.exit_code == 0, told.stderr
    assert "每月九十九元。" in json.loads(told.stdout)["text"]
    assert run("verify", *model, "--encoding", "big5", "--mapping", str(mapping)).exit_code == 0
    mapping.write_text("turns: [")
    refused = run("verify", *model, "--mapping", str(mapping))
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert refused.stderr.endswith("The mapping is neither valid JSON nor valid YAML.\n")


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


def test_a_model_that_is_a_file_or_was_not_prepared_is_told_so(
    smollm2_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFT_STUDIO_DATA", str(tmp_path))
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF")
    for model, words in (
        (str(gguf), "is a file, and masks need a folder"),
        (str(smollm2_folder / "tokenizer.json"), f"Give its folder: --model {smollm2_folder}"),
        ("SmolLM2-135M-Instruct", "comes with SFT Studio, but is not prepared"),
        (str(tmp_path), "There is no"),
        ("https://example.com/model", "No model"),
        ("", "No model"),
        ("a\x00b", "No model"),
    ):
        result = run("preview", "--model", model, "--input", "-", text=GOOD)
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer_config.json", '{"bos_token": {}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {"content": "a"}}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": []}'),
        ("tokenizer_config.json", '{"bos_token": 5}'),
        ("tokenizer_config.json", "[" * 9999),
        ("generation_config.json", '{"eos_token_id": {"a": 1}}'),
        ("generation_config.json", '{"eos_token_id": true, "x": NaN'),
        ("chat_template.jinja", b"\xff\xfe"),
        ("chat_template.jinja", "x" * 1_000_001),
    ],
)
def test_a_model_folder_that_is_no_good_is_one_clear_line(
    smollm2_folder: Path, tmp_path: Path, file: str, content: str | bytes
) -> None:
    model = tmp_path / "model"
    shutil.copytree(smollm2_folder, model)
    (model / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run("preview", "--model", str(model), "--input", "-", text=GOOD)
    if result.exit_code:
        assert result.exit_code == 2
        assert str(model) in result.stderr
    assert len(result.stderr.splitlines()) <= 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
