"""Vocabularies that do not spell bytes: pieces with ▁ for spaces (Llama 2, Gemma) and Unigram (with
controls inside).
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from app.masking import ChatTokenizer, MaskSettings, mask_conversation, run_checks
from app.masking.templates.chat_template import ChatTemplate
from tests.masking.conversations import clean_texts, dialogues
from tests.masking.house_templates import HOUSES, written_by_model
from tests.support.masks import ATTACK, chat

CORPUS = [
    "hello there how can I help you today",
    "the price is ten a month and includes support",
    "你好 价格 是 多少 您好 有 什么 可以 帮 您",
    "assistant\nuser\nsystem\nHello\nPrice Ten a month.",
] * 20
known_words = st.lists(
    st.sampled_from(sorted({*" ".join(CORPUS[:4]).split(" "), "\n"})), min_size=1, max_size=8
)
known_texts = known_words.map(" ".join)
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def llama2_like() -> Tokenizer:
    """BPE with byte fallback; a space marker before the text and for every space."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>", *SPECIAL, *BYTES], show_progress=False),
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def gemma_like() -> Tokenizer:
    """BPE with byte fallback, no leading space, line breaks as added tokens that are no controls."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>", *SPECIAL, *BYTES], show_progress=False),
    )
    tokenizer.add_tokens([AddedToken("\n" * count, normalized=False) for count in (1, 2, 3)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def unigram() -> Tokenizer:
    """Unigram, whose vocabulary would find the control tokens in ordinary text if they kept their names."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(
            vocab_size=400, special_tokens=["<unk>", *SPECIAL], unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    return tokenizer


def chat_tokenizer(build: Callable[[], Tokenizer], source: str) -> ChatTokenizer:
    variables = {"bos_token": "<s>", "eos_token": "<|im_end|>"}
    return ChatTokenizer(build(), ChatTemplate(source, build.__name__), variables, name=build.__name__)


@pytest.mark.parametrize("build", [llama2_like, gemma_like, unigram])
def test_masks_are_exact(build: Callable[[], Tokenizer]) -> None:
    house = HOUSES[0]
    tokenizer = chat_tokenizer(build, house.source)
    assert tokenizer.encoder.token_bytes is None

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(dialogues(house, known_texts if build is unigram else clean_texts))
    def holds(messages: list[dict[str, str]]) -> None:
        text, own = written_by_model(house, messages)
        sample = mask_conversation(tokenizer, {"messages": messages}, MaskSettings()).samples[0]
        unknown = tokenizer.encoder.tokenizer.token_to_id("<unk>")
        assume(unknown not in sample.input_ids.tolist())
        assert sample.text == text
        whole = tokenizer.encoder.tokenizer.encode(text, add_special_tokens=False)
        assert sample.input_ids.tolist() == whole.ids
        trained = [start in own for start, _ in whole.offsets]
        assert [label != -100 for label in sample.labels.tolist()] == trained
        assert [check for check in run_checks(tokenizer, sample) if not check.passed] == []

    holds()


@pytest.mark.parametrize("build", [llama2_like, gemma_like, unigram])
@pytest.mark.parametrize("place", [0, 1])
def test_control_tokens_in_text_stay_text(build: Callable[[], Tokenizer], place: int) -> None:
    tokenizer = chat_tokenizer(build, HOUSES[0].source)
    turns = ["hello", "ten a month"]
    clean = mask_conversation(tokenizer, chat(*turns), MaskSettings()).samples[0]
    turns[place] = ATTACK
    sample = mask_conversation(tokenizer, chat(*turns), MaskSettings()).samples[0]
    assert tokenizer.count_controls(sample.input_ids) == tokenizer.count_controls(clean.input_ids) == 4
    checks = {check.name: check for check in run_checks(tokenizer, sample)}
    assert checks["control_tokens"].passed
    assert "<|im_end|>" in checks["control_tokens"].detail
    assert checks["model_ids"].passed
    assert checks["end_of_turn"].passed
