"""Every text template TRL ships: spans, ids against transformers, and each difference to TRL's own
training masks.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from app.masking import ChatTokenizer, MaskSettings, mask_conversation, run_checks
from app.masking.samples.conversation import read_conversation
from app.masking.turns.known_layouts import KnownLayouts
from app.masking.turns.locate import locate

MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be nice."},
    {"role": "user", "content": "Hi there 你好"},
    {"role": "assistant", "content": "Hello! 您好,有什么可以帮您?"},
    {"role": "user", "content": "Price?"},
    {"role": "assistant", "content": "Ten a month."},
]
FIRST, LAST = MESSAGES[2]["content"], MESSAGES[4]["content"]
NO_SYSTEM = {"gemma", "gemma_training"}
MARKER = re.compile(r"<\|?[a-zA-Z_▁|｜/][^<>\s'\"{}()+]*>")

# family -> what stands around the first and the last answer in what the model must generate
SPANS: dict[str, tuple[str, str]] = {
    "cohere": ("{}<|END_OF_TURN_TOKEN|>",) * 2,
    "cohere2": ("{}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",) * 2,
    "deepseek_r1_distill": ("{}<｜end▁of▁sentence｜>",) * 2,
    "deepseekv3": ("{}<｜end▁of▁sentence｜>",) * 2,
    "diffusion_gemma": ("{}<turn|>",) * 2,
    "gemma": ("{}<end_of_turn>",) * 2,
    "gemma3": ("{}<end_of_turn>",) * 2,
    "gemma4": ("{}<turn|>",) * 2,
    "gemma4_v2": ("{}<turn|>",) * 2,
    "gemma4_v3": ("{}<turn|>",) * 2,
    "gemma4_v4": ("{}<turn|>",) * 2,
    "gemma4_v5": ("{}<turn|>",) * 2,
    # GLM writes no end of turn; its training template ends turns with the next speaker's token
    "glm4moe": ("\n<think></think>\n{}",) * 2,
    "glm4moe_training": ("\n<think></think>\n{}<|user|>",) * 2,
    "gptoss": ("<|channel|>final<|message|>{}<|end|>", "<|channel|>final<|message|>{}<|return|>"),
    "idefics3": (" {}<end_of_utterance>",) * 2,
    "llama3": ("{}<|eot_id|>",) * 2,
    "llama3_1": ("{}<|eot_id|>",) * 2,
    "llama3_2": ("{}<|eot_id|>",) * 2,
    "llava_next": (" {}</s>",) * 2,
    "muse_glimmer": (" to=user<|message|>{}<|eot|>",) * 2,
    # the generation prompt opens the thinking block, so closing it is the model's
    "nemotron_3_nano": ("</think>{}<|im_end|>",) * 2,
    "nemotron_3_super": ("</think>{}<|im_end|>",) * 2,
    "nemotron_3_ultra": ("</think>{}<|im_end|>",) * 2,
    "nemotron_3_5_lightning": ("</think>{}<|im_end|>",) * 2,
    "phi3": ("{}<|end|>",) * 2,
    "phi3_5": ("{}<|end|>",) * 2,
    # earlier thinking is dropped from history
    "qwen3": ("{}<|im_end|>", "<think>\n\n</think>\n\n{}<|im_end|>"),
    "qwen3_training": ("<think>\n\n</think>\n\n{}<|im_end|>",) * 2,
    "qwen3_5_think": ("{}<|im_end|>", "\n</think>\n\n{}<|im_end|>"),
    "qwen3_5_think_training": ("\n</think>\n\n{}<|im_end|>",) * 2,
    "qwen3_6": ("{}<|im_end|>", "\n</think>\n\n{}<|im_end|>"),
    "qwen3_6_training": ("\n</think>\n\n{}<|im_end|>",) * 2,
    "qwen3_8": ("\n</think>\n\n{}<|im_end|>",) * 2,
    "smolvlm": (" {}<end_of_utterance>",) * 2,
}

# why TRL's training mask and ours differ, as (text TRL trains and we do not, reason)
SEPARATOR = "the line break after the end of turn is a separator"
HEADER = "the role header is in the generation prompt"
THINKING = "the generation prompt already opens the thinking block"
PROMPT_BREAK = "the line break is the generation prompt's last character"
VERY_END = "written once at the very end, the model has stopped before"


def names(templates: Path) -> list[str]:
    return sorted(path.stem for path in templates.glob("*.jinja"))


def _template_names() -> list[str]:
    import importlib.util

    found = importlib.util.find_spec("trl")
    assert found is not None
    assert found.submodule_search_locations
    return names(Path(found.submodule_search_locations[0]) / "chat_templates")


def messages_for(name: str) -> list[dict[str, Any]]:
    return MESSAGES[1:] if name in NO_SYSTEM else MESSAGES


def expected_spans(name: str) -> list[str]:
    around = SPANS.get(name) or SPANS.get(name.removesuffix("_training")) or ("{}<|im_end|>",) * 2
    return [around[0].format(FIRST), around[1].format(LAST)]


@pytest.fixture(scope="session")
def with_markers(
    smollm2_folder: Path, smollm2: ChatTokenizer, trl_templates: dict[str, str]
) -> ChatTokenizer:
    """SmolLM2's vocabulary with the markers of all these templates added as special tokens."""
    tokenizer = Tokenizer.from_file(str(smollm2_folder / "tokenizer.json"))
    markers = {marker for source in trl_templates.values() for marker in MARKER.findall(source)}
    tokenizer.add_special_tokens(sorted(markers))
    return ChatTokenizer(tokenizer, smollm2.template, smollm2.variables, name="with markers")


@pytest.fixture(scope="session")
def model_tokenizer(smollm2_folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(smollm2_folder)


@pytest.mark.parametrize("name", _template_names())
@pytest.mark.parametrize("vocabulary", ["plain", "with the template's markers"])
def test_spans(
    name: str,
    vocabulary: str,
    smollm2: ChatTokenizer,
    with_markers: ChatTokenizer,
    trl_templates: dict[str, str],
) -> None:
    base = smollm2 if vocabulary == "plain" else with_markers
    tokenizer = base.with_chat_template(trl_templates[name], name, trusted=True)
    layout = locate(tokenizer, read_conversation({"messages": messages_for(name)}).messages)
    assert [layout.text[turn.start : turn.end] for turn in layout.turns] == expected_spans(name)
    assert [layout.text[region.start : region.end] for region in layout.regions] == [
        message["content"] for message in messages_for(name) if message["role"] != "assistant"
    ]


@pytest.mark.parametrize("name", _template_names())
def test_ids_are_transformers_own(
    name: str, smollm2: ChatTokenizer, trl_templates: dict[str, str], model_tokenizer: Any
) -> None:
    tokenizer = smollm2.with_chat_template(trl_templates[name], name, trusted=True)
    messages = messages_for(name)
    shown = messages
    if tokenizer.wants_content_parts:
        shown = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
    own = model_tokenizer.apply_chat_template(
        shown, chat_template=trl_templates[name], tokenize=True, return_dict=False
    )
    sample = mask_conversation(tokenizer, {"messages": messages}, MaskSettings()).samples[0]
    assert sample.input_ids.tolist() == own
    failed = {check.name for check in run_checks(tokenizer, sample) if not check.passed}
    assert failed == ({"end_of_turn"} if name == "glm4moe" else set())


@pytest.mark.parametrize("name", [name for name in _template_names() if name.endswith("_training")])
def test_differences_to_trls_training_masks_are_explained(
    name: str, with_markers: ChatTokenizer, trl_templates: dict[str, str]
) -> None:
    """TRL trains more than the model generates: separators, prompts. It never trains less."""
    tokenizer = with_markers.with_chat_template(trl_templates[name], name, trusted=True)
    messages = read_conversation({"messages": messages_for(name)}).messages
    shown = messages
    if tokenizer.wants_content_parts:
        shown = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
    text, blocks = tokenizer.template.render_with_generation_blocks(shown, tokenizer.variables)
    layout = locate(tokenizer, messages)
    assert text == layout.text
    theirs = {place for start, end in blocks for place in range(start, end)}
    ours = {place for turn in layout.turns for place in range(turn.start, turn.end)}
    assert ours <= theirs
    for start, end in _runs(theirs - ours):
        assert _reason(tokenizer, messages, layout.text, start, end) is not None, layout.text[start:end]


def _runs(places: set[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for place in sorted(places):
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def _reason(
    tokenizer: ChatTokenizer, messages: list[dict[str, Any]], text: str, start: int, end: int
) -> str | None:
    """Why the range is not the model's to generate, told from the generation prompt or from what follows."""
    extra, before = text[start:end], text[:start]
    prompts = [
        tokenizer.render(messages[:place], add_generation_prompt=True)
        for place, message in enumerate(messages)
        if message["role"] == "assistant"
    ]
    if any(before[-8:] + extra in prompt for prompt in prompts):
        if extra == "\n" and not before.endswith(("<|im_end|>", "<end_of_turn>", "<turn|>")):
            return PROMPT_BREAK
        if extra != "\n":
            return THINKING if "think" in extra else HEADER
    if extra == "\n" and MARKER.search(before) and before.endswith(">"):
        return SEPARATOR
    if extra == "\n<|im_end|>" and end == len(text):
        return VERY_END
    return None


@pytest.mark.parametrize("name", _template_names())
def test_the_short_cut_agrees(name: str, smollm2: ChatTokenizer, trl_templates: dict[str, str]) -> None:
    tokenizer = smollm2.with_chat_template(trl_templates[name], name, trusted=True)
    book = KnownLayouts(tokenizer)
    variants = (
        messages_for(name),
        [{**message, "content": f" {message['content']}\n"} for message in messages_for(name)],
        [{**message, "content": "<think>\nwhy\n</think>\n\nso"} for message in messages_for(name)],
        [{**message, "content": "same"} for message in messages_for(name)],
        [{**message, "content": "null"} for message in messages_for(name)],
    )
    for messages in variants:
        exact, short = locate(tokenizer, messages), book.lay_out(messages, None).layout
        assert (short.turns, short.regions) == (exact.turns, exact.regions)


def test_the_short_cut_covers_most_families(smollm2: ChatTokenizer, trl_templates: dict[str, str]) -> None:
    """Losing it would only cost speed, which is why it needs a test."""
    covered = 0
    families = [name for name in trl_templates if not name.endswith("_training")]
    for name in families:
        tokenizer = smollm2.with_chat_template(trl_templates[name], name, trusted=True)
        book = KnownLayouts(tokenizer)
        book.lay_out(messages_for(name), None)
        covered += any(shape is not None for shape in book.known.values())
    assert covered >= len(families) * 0.6
