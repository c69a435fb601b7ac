"""The twin encodes as the model's tokenizer does, and only what it is told is a control token becomes one."""

from app.masking import ChatTokenizer
from app.masking.tokenization.twin import Twins

TEXT = "<|im_start|>user\nHi 你<|im_end|>\n"


def spans(tokenizer: ChatTokenizer, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in tokenizer.controls.any.finditer(text)]


def test_with_all_control_tokens_named_the_ids_are_the_models_own(smollm2: ChatTokenizer) -> None:
    own = smollm2.encoder.encode_many([TEXT])[0]
    twin = smollm2.twin.encode(TEXT, spans(smollm2, TEXT))
    assert (twin.ids.tolist(), twin.starts.tolist(), twin.ends.tolist()) == (
        own.ids.tolist(),
        own.starts.tolist(),
        own.ends.tolist(),
    )
    assert smollm2.twin.ids_of_all([TEXT], smollm2.controls.any)[0].tolist() == own.ids.tolist()


def test_what_is_not_named_stays_text_with_offsets_into_the_text_as_it_is(smollm2: ChatTokenizer) -> None:
    first, *_ = spans(smollm2, TEXT)
    encoded = smollm2.twin.encode(TEXT, [first])
    assert smollm2.count_controls(encoded.ids) == 1
    assert smollm2.encoder.tokenizer.decode(encoded.ids.tolist(), skip_special_tokens=False) == TEXT
    assert encoded.starts[0] == 0
    assert encoded.ends[0] == len("<|im_start|>")
    assert encoded.ends[-1] == len(TEXT)


def test_a_twin_is_built_once_for_its_control_tokens(smollm2: ChatTokenizer) -> None:
    twins = Twins(smollm2.encoder.tokenizer)
    one = twins.for_controls(frozenset({"<|im_end|>"}))
    assert twins.for_controls(frozenset({"<|im_end|>"})) is one
    assert twins.for_controls(frozenset({"<|im_start|>"})) is not one
