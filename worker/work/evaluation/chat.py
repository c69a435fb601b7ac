"""The warm chat process: `python -m worker.work.evaluation.chat`, asked and answering in JSON lines.

In, on standard input: a ChatRequest or {"cancel": id}.
Out: events `phase`, `delta`, `done`, `failed`, each with the request's id.
It keeps the last base model and its adapters loaded, and exits when standard input ends.
"""

import gc
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers.decoders import DecodeStream

from app.dialogue.conversation import Message
from app.jobs.events import Ending, EventKind, Phase, Side
from app.masking import turn_off_library_threads
from app.playground.work import ChatRequest
from app.sentences import N_, Failure, FailureCode, SentenceError
from worker.work.child import EventStream, failure_of, take_standard_output
from worker.work.evaluation.generation import require_room
from worker.work.evaluation.loading import LoadedModel, load_base, require_tuned
from worker.work.evaluation.prompts import encode_prompt
from worker.work.protocol import JobFailed, read_document

# The sides take turns of so many tokens: both are seen to write, and switching adapters costs little.
TOKENS_PER_TURN = 4


class Reply:
    """One side's answer while it is written."""

    def __init__(self, loaded: LoadedModel, side: Side, prompt: list[int], request: ChatRequest) -> None:
        self.side = side
        self.finish_reason: str | None = None
        self.loaded = loaded
        self.temperature = request.temperature
        self.max_new_tokens = request.max_new_tokens
        self.random = torch.Generator(device=loaded.device)
        self.random.manual_seed(request.seed)
        self.ids: list[int] = []
        self._next = prompt
        self._cache: Any = None
        self._sent = ""
        self._decoder = DecodeStream(skip_special_tokens=True)

    def write(self, model: Any) -> Iterator[str]:
        """Up to a turn's tokens as pieces of text. A character split over tokens comes when it is whole."""
        for _ in range(TOKENS_PER_TURN):
            token = self._step(model)
            if token in self.loaded.stop_ids:
                self.finish_reason = "stop"
                break
            self.ids.append(token)
            piece = self._decoder.step(self.loaded.tokenizer.encoder.tokenizer, token)
            if piece:
                self._sent += piece
                yield piece
            if len(self.ids) >= self.max_new_tokens:
                self.finish_reason = "length"
                break
        if self.finish_reason:
            yield from self._rest()

    @torch.inference_mode()
    def _step(self, model: Any) -> int:
        ids = torch.tensor([self._next], device=self.loaded.device)
        output = model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = output.past_key_values
        logits = output.logits[0, -1].float()
        if self.temperature > 0:
            chances = torch.softmax(logits / self.temperature, dim=-1)
            token = int(torch.multinomial(chances, 1, generator=self.random))
        else:
            token = int(logits.argmax())
        self._next = [token]
        return token

    def _rest(self) -> Iterator[str]:
        """What the decoder still held back; half a character at the very end is dropped."""
        whole = self.loaded.tokenizer.encoder.tokenizer.decode(self.ids, skip_special_tokens=True)
        rest = whole.removeprefix(self._sent).rstrip("\ufffd") if whole.startswith(self._sent) else ""
        if rest:
            yield rest


class Chat:
    """Answers requests one after another with the models it keeps."""

    def __init__(self, events: EventStream) -> None:
        self.events = events
        self.requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.cancelled: set[str] = set()
        self._loaded: LoadedModel | None = None
        self._path: Path | None = None

    def listen(self) -> None:
        """Read requests and cancels until standard input ends, which ends the process."""
        for line in sys.stdin.buffer:
            try:
                message = json.loads(line)
                if "cancel" in message:
                    self.cancelled.add(str(message["cancel"]))
                elif isinstance(message["id"], str):
                    self.requests.put(message)
            except (ValueError, TypeError, KeyError):
                # Never the line itself: it may hold what a customer said.
                print(f"a request of {len(line)} bytes was not understood", file=sys.stderr)  # noqa: T201
        os._exit(0)

    def serve(self) -> None:
        while True:
            given = self.requests.get()
            try:
                self.answer(read_document(ChatRequest, given))
            except SentenceError as error:
                self._fail(given["id"], error.failure)
            except Exception as error:  # noqa: BLE001 - the person who waits gets a sentence
                traceback.print_exc(file=sys.stderr)
                self._fail(given["id"], failure_of(error, Path.cwd(), trains=False).failure)
            self.cancelled.discard(given["id"])

    def _fail(self, request_id: str, failure: Failure) -> None:
        self.events.emit(Ending.FAILED, id=request_id, **failure.to_json())

    def answer(self, request: ChatRequest) -> None:
        """Stream the reply of each side asked for."""
        loaded = self._load(request)
        tokenizer = loaded.tokenizer_with(request.template_arguments)
        prompt = encode_prompt(tokenizer, _messages(request))
        require_room(loaded, prompt, request.max_new_tokens, "chat")
        sides = request.of(request.id).sides
        replies = [Reply(loaded, side, prompt, request) for side in dict.fromkeys(sides)]
        while replies:
            for reply in replies:
                self._turn(request.id, loaded, reply)
            replies = [reply for reply in replies if reply.finish_reason is None]

    def _turn(self, request_id: str, loaded: LoadedModel, reply: Reply) -> None:
        with loaded.side(reply.side) as model:
            for piece in reply.write(model):
                self.events.emit(EventKind.DELTA, id=request_id, side=reply.side, text=piece)
                if request_id in self.cancelled:
                    break
        if request_id in self.cancelled and reply.finish_reason is None:
            reply.finish_reason = "cancelled"
        if reply.finish_reason:
            self.events.emit(
                EventKind.DONE,
                id=request_id,
                side=reply.side,
                finish_reason=reply.finish_reason,
                tokens=len(reply.ids),
            )

    def _load(self, request: ChatRequest) -> LoadedModel:
        path = Path(request.base_model_path)
        adapter_path = require_tuned(Path(request.adapter_path)) if request.adapter_path else None
        if self._loaded is None or self._path != path:
            self.events.emit(EventKind.PHASE, id=request.id, phase=Phase.LOADING_MODEL)
            # The old model goes first: two at a time may not fit.
            self._loaded = self._path = None
            gc.collect()
            self._loaded, self._path = load_base(path), path
        if adapter_path is not None:
            self._loaded.use(adapter_path)
        elif "tuned" in request.sides:
            raise JobFailed(
                FailureCode.ADAPTER_UNUSABLE, N_("There is no adapter to ask: choose a finished run.")
            )
        return self._loaded


def _messages(request: ChatRequest) -> list[Message]:
    if not request.messages:
        raise JobFailed(FailureCode.JOB_MALFORMED, N_("There is no message to answer."))
    for message in request.messages:
        if not isinstance(message.get("content"), str) or "role" not in message:
            raise JobFailed(FailureCode.JOB_MALFORMED, N_("Each message needs a role and a text as content."))
    return request.messages


def main() -> None:
    turn_off_library_threads()
    chat = Chat(take_standard_output())
    threading.Thread(target=chat.listen, daemon=True).start()
    chat.serve()


if __name__ == "__main__":
    main()
