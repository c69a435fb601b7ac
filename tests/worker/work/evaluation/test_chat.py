"""The warm chat process with the real small model, asked through its parent's side."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from app.masking import ChatTokenizer
from app.playground.work import ChatRequest
from tests.support.said import said
from worker.parent.warm_chat import TICK, WarmChat
from worker.work.evaluation.chat import Reply
from worker.work.evaluation.loading import LoadedModel

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def chat() -> Iterator[WarmChat]:
    with WarmChat() as warm:
        yield warm


@pytest.fixture
def request_both(base_model_folder: Path, adapter_folder: Path) -> dict[str, Any]:
    return {
        "base_model_path": str(base_model_folder),
        "adapter_path": str(adapter_folder),
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_new_tokens": 10,
        "temperature": 0,
    }


def texts(events: list[dict[str, Any]]) -> dict[str, str]:
    sides: dict[str, str] = {}
    for event in events:
        if event["event"] == "delta":
            sides[event["side"]] = sides.get(event["side"], "") + event["text"]
    return sides


def test_both_sides_stream_and_finish(chat: WarmChat, request_both: dict[str, Any]) -> None:
    events = list(chat.stream(ChatRequest.stored(request_both)))
    done = {event["side"]: event for event in events if event["event"] == "done"}
    assert set(done) == {"base", "tuned"}
    assert done["base"]["finish_reason"] == "stop"
    assert all(event["tokens"] <= 10 for event in done.values())
    assert texts(events)["base"] == "The capital of France is Paris."
    assert texts(events)["tuned"] != texts(events)["base"]
    assert sum(event["event"] == "delta" for event in events) > 4


def test_the_model_stays_loaded_and_answers_the_same_again(
    chat: WarmChat, request_both: dict[str, Any]
) -> None:
    first = list(chat.stream(ChatRequest.stored(request_both)))
    pid = chat.process_id
    again = list(chat.stream(ChatRequest.stored(request_both)))
    assert chat.process_id == pid
    assert not any(event["event"] == "phase" for event in again)
    assert texts(again) == texts(first)


class Scripted:
    """A model that says given tokens, one after another."""

    def __init__(self, ids: list[int], vocabulary: int) -> None:
        self.ids = iter(ids)
        self.vocabulary = vocabulary

    def __call__(self, **_: Any) -> Any:
        logits = torch.zeros(1, 1, self.vocabulary)
        logits[0, 0, next(self.ids)] = 1.0
        return SimpleNamespace(logits=logits, past_key_values=None)


@pytest.mark.parametrize("cut", [False, True])
def test_chinese_comes_in_whole_characters(base_model_folder: Path, cut: bool) -> None:
    text = "您好，欢迎光临！请问需要什么？🎉"
    tokenizer = ChatTokenizer.from_folder(base_model_folder)
    ids = tokenizer.encoder.tokenizer.encode(text, add_special_tokens=False).ids
    assert len(ids) > len(text)  # characters are split over tokens, or this tests nothing
    stop = tokenizer.added_tokens["<|im_end|>"]
    loaded = LoadedModel(None, tokenizer, frozenset({stop}), torch.device("cpu"), torch.float32, 8192)
    limit = len(ids) - 1 if cut else 200
    reply = Reply(loaded, "base", [1], ChatRequest(base_model_path="", max_new_tokens=limit))
    model = Scripted([*ids, stop], tokenizer.encoder.tokenizer.get_vocab_size())
    pieces: list[str] = []
    while reply.finish_reason is None:
        pieces += reply.write(model)
    assert not any("\ufffd" in piece for piece in pieces)
    assert len(pieces) > 5
    assert "".join(pieces) == (text[:-1] if cut else text)
    assert reply.finish_reason == ("length" if cut else "stop")


def test_a_seed_makes_sampling_repeatable(chat: WarmChat, request_both: dict[str, Any]) -> None:
    def sampled(seed: int) -> dict[str, str]:
        return texts(
            list(
                chat.stream(
                    ChatRequest.stored({**request_both, "temperature": 1.5, "seed": seed, "sides": ["base"]})
                )
            )
        )

    assert sampled(1) == sampled(1)
    assert len({sampled(seed)["base"] for seed in (1, 2, 3)}) > 1


def test_closing_the_stream_cancels_and_the_next_request_is_served(
    chat: WarmChat, request_both: dict[str, Any]
) -> None:
    endless = {**request_both, "max_new_tokens": 4000, "temperature": 2.0, "sides": ["base"]}
    stream = chat.stream(ChatRequest.stored(endless))
    while next(stream)["event"] != "delta":
        pass
    stream.close()  # type: ignore[attr-defined]
    events = list(chat.stream(ChatRequest.stored({**request_both, "sides": ["base"]})))
    assert {event["id"] for event in events} == {events[-1]["id"]}
    assert events[-1]["event"] == "done"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_model_path": "/nowhere"}, "no safetensors weights"),
        ({"adapter_path": "/nowhere"}, "no LoRA adapter"),
        ({"adapter_path": None, "sides": ["tuned"]}, "no adapter"),
        ({"messages": []}, "no message"),
        ({"messages": [{"role": "user"}]}, "role and a text"),
        ({"max_new_tokens": 100_000}, "does not fit"),
    ],
)
def test_what_cannot_be_answered_fails_with_a_sentence(
    chat: WarmChat, request_both: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    events = list(chat.stream(ChatRequest.stored({**request_both, **change})))
    assert events[-1]["event"] == "failed"
    assert words in said(events[-1])


def test_threads_share_the_process(chat: WarmChat, request_both: dict[str, Any]) -> None:
    results: dict[int, list[dict[str, Any]]] = {}

    def ask(number: int) -> None:
        results[number] = list(
            chat.stream(ChatRequest.stored({**request_both, "id": f"r{number}", "sides": ["base"]}))
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for number in range(3):
        assert {event["id"] for event in results[number]} == {f"r{number}"}
        assert texts(results[number])["base"] == "The capital of France is Paris."


def test_after_a_crash_the_next_request_starts_a_new_process(
    chat: WarmChat, request_both: dict[str, Any]
) -> None:
    alone = ChatRequest.stored({**request_both, "sides": ["base"]})
    assert list(chat.stream(alone))[-1]["event"] == "done"
    crashed = chat.process_id
    assert crashed is not None
    # Stopped, it is not done with the answer before it is killed.
    psutil.Process(crashed).suspend()
    stream = chat.stream(alone, tick_seconds=0.01)
    assert next(stream)["event"] == TICK
    psutil.Process(crashed).kill()
    assert [event["event"] for event in stream if event["event"] != TICK] == ["failed"]
    assert list(chat.stream(alone))[-1]["event"] == "done"
    assert chat.process_id != crashed
