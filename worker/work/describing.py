"""What a prepared model is: the facts of the registry, read from the model and from what was written."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from app.base_models.facts import LayerFacts, LeftOut, ModelFacts
from app.core.stored_models import Told
from app.masking import ChatTokenizer, MaskingError
from app.recipes.layers import kind_of
from app.sentences import N_, FailureCode, Sentence
from worker.work.new_tokens import is_trained
from worker.work.protocol import JobFailed
from worker.work.training.modules import LayerKind, LinearModule, linear_modules

# Stands for the answer while the end-of-turn token is looked for; a private-use character no template writes.
ANSWER = "\U000f00a9"
# Names of the length that a model was made for, where transformers does not map them to max_position_embeddings.
_LENGTHS: Final = ("max_position_embeddings", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx")
# More than any model reads: some configurations write a number that means none.
_NO_LENGTH: Final = 100_000_000
_LICENCE: Final = re.compile(r"\A---\s*\n(?:.*\n)*?license:[ \t]*[\"']?([\w.+-]{1,60})[\"']?[ \t]*\n")


def describe(model: Any, folder: Path, *, source: str, tokens: int, licence: str | None) -> ModelFacts:
    """The facts of `model`, which was written to `folder` with a tokenizer of so many tokens.

    Raises JobFailed where its template ends no turn.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    tokenizer = _tokenizer(folder)
    end = end_of_turn(tokenizer)
    end_id = tokenizer.added_tokens[end]
    added = list(tokenizer.added_tokens.values())
    layers = layer_facts(linear_modules(model))
    weights = [
        layer.weight for layer in (model.get_input_embeddings(), model.get_output_embeddings()) if layer
    ]
    facts = ModelFacts(
        source=source,
        parameters=model.num_parameters(),
        context_length=context_length(model.config),
        vocabulary=model.get_input_embeddings().num_embeddings,
        dtype=str(model.dtype).removeprefix("torch."),
        architecture=next(iter(config.get("architectures") or []), None),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
        licence=licence,
        end_of_turn=end,
        end_of_turn_id=end_id,
        end_of_turn_trained=is_trained(model, end_id, added, tokens),
        tied_embeddings=len({weight.data_ptr() for weight in weights}) == 1,
        layers=layers,
    )
    return facts.model_copy(update={"remarks": [Told(sentence=one) for one in remarks(facts)]})


def context_length(config: Any) -> int | None:
    """How many tokens a model was made to read, whatever its configuration calls that; None where nothing says it."""
    text = config.get_text_config()
    for name in _LENGTHS:
        found = getattr(text, name, None)
        if isinstance(found, int) and not isinstance(found, bool) and 0 < found < _NO_LENGTH:
            return found
    return None


def layer_facts(modules: list[LinearModule]) -> list[LayerFacts]:
    """Layers that differ only in their number, together."""
    found: dict[tuple[Any, ...], list[LinearModule]] = {}
    for module in modules:
        stacked = module.count if module.kind is LayerKind.EXPERTS else 0
        key = (kind_of(module.name), stacked, module.left_out)
        found.setdefault(key, []).append(module)
    return [
        LayerFacts(
            name=name,
            count=len(same),
            parameters=sum(one.in_features * one.out_features * one.count for one in same),
            experts=stacked,
            left_out=left_out,
        )
        for (name, stacked, left_out), same in found.items()
    ]


def remarks(facts: ModelFacts) -> list[Sentence]:
    """What is unusual in a model and matters to who trains it."""
    found = []
    if facts.end_of_turn_trained is False:
        found.append(
            Sentence.of(
                N_(
                    "The token %(token)s, which ends an answer, was never trained in this model: its row is empty or a "
                    "copy. A run trains that row too, unless told otherwise; without it the model would not stop."
                ),
                token=facts.end_of_turn or "",
            )
        )
    if facts.context_length is None:
        found.append(
            Sentence(
                N_("Nothing says how many tokens this model reads: set a length limit when you train it.")
            )
        )
    if any(layer.left_out is LeftOut.OTHER_TOWER for layer in facts.layers):
        found.append(
            Sentence(
                N_("This model also takes pictures or sound. Only its language model is trained, on text.")
            )
        )
    experts = sum(layer.parameters for layer in facts.layers if layer.experts)
    if experts and facts.parameters:
        found.append(
            Sentence.of(
                N_(
                    "%(percent)d %% of the parameters are experts, of which each token meets a few: %(names)s."
                ),
                percent=round(100 * experts / facts.parameters),
                names=", ".join(Counter(layer.last for layer in facts.layers if layer.experts)),
            )
        )
    odd = [layer.last for layer in facts.layers if layer.left_out is LeftOut.NOT_PLAIN]
    if odd:
        found.append(
            Sentence.of(
                N_("No adapter can go on these layers: %(names)s."), names=", ".join(dict.fromkeys(odd))
            )
        )
    return found


def licence_of(folder: Path) -> str | None:
    """What the model's own card names as its licence, if it has a card that does."""
    try:
        text = (folder / "README.md").read_text("utf-8")[:20_000]
    except (OSError, ValueError):
        return None
    found = _LICENCE.search(text.replace("\r\n", "\n"))
    return found[1] if found else None


def _tokenizer(folder: Path) -> ChatTokenizer:
    try:
        return ChatTokenizer.from_folder(folder)
    except MaskingError as error:
        raise JobFailed.of(error) from error


def end_of_turn(tokenizer: ChatTokenizer) -> str:
    """The token that the template writes after an answer: the one generation has to stop on."""
    try:
        text = tokenizer.render([{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}])
    except MaskingError as error:
        raise JobFailed.of(error) from error
    after = text.rpartition(ANSWER)[2]
    tokens = [token for token in tokenizer.added_tokens if token.strip() and token in after]
    found = [(after.index(token), -len(token), token) for token in tokens]
    if not found:
        raise JobFailed(
            FailureCode.TEMPLATE_REFUSED,
            N_("The chat template writes no token after an answer: a model could not learn where to stop."),
        )
    return min(found)[2]
