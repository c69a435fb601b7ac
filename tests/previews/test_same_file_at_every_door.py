"""The same file is read the same way by an import, by the `masks` commands and through REST, tools and all."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.masks.command import app as masks
from tests.support.people import Person

WRITES_ALL = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}{% for m in messages %}"
    "<|im_start|>{{ m.role }}\n{% if m.thinking %}<think>{{ m.thinking }}</think>{% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ '<tool_call>' ~ (c.function | tojson) ~ '</tool_call>' }}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOL = {
    "type": "function",
    "function": {
        "name": "freight",
        "description": "Fee and days",
        "parameters": {"type": "object", "properties": {"to": {"type": "string"}, "kg": {"type": "number"}}},
    },
}
ASKED = {"role": "user", "content": "What is 8 kg to Bergen?"}
CALL = {
    "id": "call_7",
    "type": "function",
    "function": {"name": "freight", "arguments": '{"to": "Bergen \\"N\\"", "kg": 8}'},
}
RESULT = {"role": "tool", "tool_call_id": "call_7", "content": '{"fee": 21.5}'}
ANSWER = {"role": "assistant", "content": "21.50, in four days."}
THOUGHT = {**ANSWER, "reasoning_content": "Only the fee matters."}
OPENAI = [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT, ANSWER]
LLAMAFACTORY = {
    "conversations": [
        {"from": "human", "value": ASKED["content"]},
        {
            "from": "function_call",
            "value": json.dumps({"name": "freight", "arguments": {"to": "Bergen", "kg": 8}}),
        },
        {"from": "observation", "value": RESULT["content"]},
        {"from": "gpt", "value": ANSWER["content"]},
    ],
    "tools": json.dumps([TOOL["function"]]),
}
PARTS = [{"type": "text", "text": "What is "}, {"type": "text", "text": "8 kg to Oslo?"}]
PICTURE = [PARTS[0], {"type": "image_url", "image_url": {"url": "https://example.invalid/1.jpg"}}]


def lines(*records: Any) -> bytes:
    return "\n".join(json.dumps(one) for one in records).encode()


def packed(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


FILES: dict[str, bytes] = {
    "packed.jsonl.gz": gzip.compress(lines({"messages": OPENAI, "tools": [TOOL]})),
    "several.zip": packed(
        {
            "wrapped.json": json.dumps(
                {"data": [{"messages": OPENAI}, {"messages": [ASKED, THOUGHT]}]}
            ).encode(),
            "lists.json": json.dumps([[ASKED, {**ANSWER, "content": "On Monday."}]]).encode(),
            "wide.csv": "prompt,response\n问题,回答\n".encode("utf-16-le"),
        }
    ),
    "calls_without_content.jsonl": lines({"messages": OPENAI, "tools": [TOOL]}),
    "calls_without_content_key.jsonl": lines(
        {"messages": [ASKED, {"role": "assistant", "tool_calls": [CALL]}, RESULT, ANSWER]}
    ),
    "beside_the_messages.jsonl": lines({"messages": OPENAI, "tools": [TOOL], "parallel_tool_calls": False}),
    "llamafactory.json": json.dumps([LLAMAFACTORY], indent=1).encode(),
    "one_line.json": json.dumps([LLAMAFACTORY, {**LLAMAFACTORY, "tools": ""}]).encode(),
    "one_object.json": json.dumps({"messages": OPENAI}, indent=2).encode(),
    "glm.jsonl": lines(
        {
            "messages": [
                ASKED,
                {"role": "assistant", "content": "", "tool_calls": [CALL]},
                {"role": "observation", "content": "21.5"},
                ANSWER,
            ]
        }
    ),
    "first_functions.jsonl": lines(
        {
            "messages": [
                ASKED,
                {"role": "assistant", "content": None, "function_call": CALL["function"]},
                {"role": "function", "name": "freight", "content": "21.5"},
                ANSWER,
            ],
            "functions": [TOOL["function"]],
        }
    ),
    "reasoning.jsonl": lines(
        {"messages": [ASKED, THOUGHT]}, {"messages": [ASKED, {**ANSWER, "reasoning": "Otherwise named."}]}
    ),
    "text_parts.jsonl": lines(
        {"messages": [{"role": "user", "content": PARTS}, {"role": "assistant", "content": [PARTS[0]]}]}
    ),
    "pictures.jsonl": lines(
        {"messages": [{"role": "user", "content": PICTURE}, ANSWER]}, {"messages": [ASKED, ANSWER]}
    ),
    "pictures_beside.json": json.dumps(
        [
            {"messages": [ASKED, ANSWER], "images": ["1.jpg"]},
            {"messages": [{**ASKED, "content": "?"}, ANSWER], "images": []},
        ]
    ).encode(),
    "roles.jsonl": lines(
        {"messages": [{**ASKED, "role": "narrator"}, ANSWER]},
        {"messages": [ASKED, {**ASKED, "tool_calls": [CALL]}]},
        {"messages": [ASKED, ANSWER]},
    ),
    "half_a_list.json": json.dumps([LLAMAFACTORY]).encode()[:-20],
    "cut_off.jsonl": lines({"messages": OPENAI}) + b'\n{"messages": [{"role": "us',
    "wide.jsonl": lines({"messages": [ASKED, ANSWER]}).decode().encode("utf-16"),
    "alpaca.json": json.dumps([{"instruction": "Say 21.5", "output": "21.5"}]).encode(),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_door_reads_the_file_alike(
    name: str, annotator: Person, model_id: int, smollm2_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(FILES[name])
    template = tmp_path / "all.jinja"
    template.write_text(WRITES_ALL, encoding="utf-8")
    dataset = annotator.api.post("/api/v1/datasets", json={"name": "Doors"}).json()["id"]
    sent = {"file": (name, FILES[name])}
    report = annotator.api.post(
        f"/api/v1/datasets/{dataset}/imports", files=sent, data={"skip_bad": "true"}
    ).json()
    stored = annotator.api.get(f"/api/v1/datasets/{dataset}/conversations", params={"order": "oldest"}).json()
    texts = []
    for row in sorted(stored["conversations"], key=lambda one: one["id"]):
        asked = {"base_model_id": model_id, "conversation_id": row["id"], "chat_template": WRITES_ALL}
        texts.append(annotator.api.post("/api/v1/mask-previews", json=asked).json()[0]["text"])
        direct = {"base_model_id": model_id, "messages": row["messages"], "chat_template": WRITES_ALL}
        direct["tools"] = row.get("tools") or None
        assert annotator.api.post("/api/v1/mask-previews", json=direct).json()[0]["text"] == texts[-1]
    options = [
        "--model",
        str(smollm2_folder),
        "--input",
        str(file),
        "--chat-template",
        str(template),
        "--json",
    ]
    shown = CliRunner().invoke(masks, ["preview", *options])
    assert [json.loads(line)["text"] for line in shown.stdout.splitlines()] == texts
    problems = [" ".join(one["message"].split()) for one in report["problems"]]
    told = " ".join(shown.stderr.split())
    assert all(problem in told for problem in problems), (problems, told)
    assert shown.exit_code == (0 if not problems else 2 if "middle" in told or "does not end" in told else 1)
    verified = CliRunner().invoke(masks, ["verify", *options])
    assert (verified.exit_code == 0) == (not problems), verified.stderr
    if verified.stdout:
        found = json.loads(verified.stdout)
        assert found["conversations"] == len(texts) + len(problems)
        details = [failure["detail"] for failure in found["failures"]]
        assert len(details) == len(problems)
        for said, detail in zip(report["problems"], details, strict=True):
            assert said["message"] in (detail, f"Line {said['line']}: {detail}")
            assert said["message"].lower().count(f"line {said['line']}") == 1


def test_messages_sent_through_rest_are_those_of_a_file(annotator: Person, model_id: int) -> None:
    """What OpenAI's clients write as it stands: no content, text parts, arguments as text."""
    dataset = annotator.api.post("/api/v1/datasets", json={"name": "Direct"}).json()["id"]
    for name in ("calls_without_content.jsonl", "calls_without_content_key.jsonl", "text_parts.jsonl"):
        annotator.api.post(f"/api/v1/datasets/{dataset}/imports", files={"file": (name, FILES[name])})
        found = annotator.api.get(f"/api/v1/datasets/{dataset}/conversations").json()["conversations"]
        newest = max(found, key=lambda one: one["id"])
        record = json.loads(FILES[name])
        sent = {"base_model_id": model_id, "chat_template": WRITES_ALL, **record}
        answer = annotator.api.post("/api/v1/mask-previews", json=sent)
        assert answer.status_code == 200, answer.text
        stored = {"base_model_id": model_id, "chat_template": WRITES_ALL, "conversation_id": newest["id"]}
        assert annotator.api.post("/api/v1/mask-previews", json=stored).json() == answer.json()
    pictures = {"base_model_id": model_id, "messages": [{"role": "user", "content": PICTURE}]}
    refused = annotator.api.post("/api/v1/mask-previews", json=pictures)
    assert (refused.status_code, refused.json()["code"]) == (422, "content_not_text")


@pytest.mark.parametrize("columns", [{"images": "pics"}, {"images": "pics", "tools": "tools"}])
def test_pictures_are_refused_by_line_with_dataset_info_too(
    columns: dict[str, str], annotator: Person
) -> None:
    records = [
        {
            "talk": [{"from": "human", "value": "<image>Which?"}, {"from": "gpt", "value": "Ash."}],
            "pics": ["1.jpg"],
        },
        {"talk": [{"from": "human", "value": "Oak?"}, {"from": "gpt", "value": "Yes."}], "pics": []},
    ]
    info = {
        "d": {"file_name": "d.json", "formatting": "sharegpt", "columns": {"messages": "talk", **columns}}
    }
    sent = {
        "file": ("d.json", json.dumps(records).encode()),
        "dataset_info": ("dataset_info.json", json.dumps(info).encode()),
    }
    dataset = annotator.api.post("/api/v1/datasets", json={"name": "Pictures"}).json()["id"]
    answer = annotator.api.post(f"/api/v1/datasets/{dataset}/imports", files=sent, data={"skip_bad": "true"})
    report = answer.json()
    assert (report["accepted"], report["problem_count"]) == (1, 1)
    assert report["problems"][0]["code"] == "holds_media"
    assert "pictures" in report["problems"][0]["message"]
