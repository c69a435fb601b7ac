"""What conversations share at their beginnings is computed once, and gives what each by itself would."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GPT2Config, LlamaConfig, MistralConfig

from app.masking import IGNORE_INDEX
from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.training.small_models import (
    SMALL,
    adapted,
    batch_of,
    batch_that_begins_alike,
    trial_of,
)
from worker.work.training import prefixes
from worker.work.training.attention import PACKED_ATTENTION
from worker.work.training.data import Batch
from worker.work.training.forward import PackedPass, PlainPass
from worker.work.training.lanes import LanedPass
from worker.work.training.pieces import pieces_of
from worker.work.training.prefixes import LEAST_TOKENS, SharedPrefixes
from worker.work.training.trial import Trial, choose_pass, set_attention

# GPT-2 counts places by a table that ends.
WITHOUT_DROPOUT = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_first_dropout"), 0.0)
CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**SMALL),
    "windows": lambda: MistralConfig(**SMALL, sliding_window=7),
    "learned places": lambda: GPT2Config(
        vocab_size=5000, n_embd=32, n_layer=2, n_head=4, n_positions=25, **WITHOUT_DROPOUT
    ),
}


def ids_of(*conversations: list[int]) -> tuple[torch.Tensor, list[int]]:
    borders = [0]
    for one in conversations:
        borders.append(borders[-1] + len(one))
    return torch.tensor([[token for one in conversations for token in one]]), borders


def computed(ids: torch.Tensor, found: SharedPrefixes | None) -> list[int]:
    assert found is not None
    # Every token of the row is the one that is computed for it.
    assert ids[0, found.computed][found.places].tolist() == ids[0].tolist()
    return ids[0, found.computed].tolist()


def test_each_conversation_takes_what_it_shares_with_the_one_that_it_is_longest_alike_with() -> None:
    ids, borders = ids_of([1, 2, 3, 4], [1, 2, 5, 6], [1, 2, 5, 7], [8, 9], [1, 2, 3, 4], [8])
    assert computed(ids, SharedPrefixes.of(ids, borders, 1)) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    # Of [1, 2, 5] two tokens lie with the first conversation and one with the second.
    assert computed(ids, SharedPrefixes.of(ids, borders, 3)) == [1, 2, 3, 4, 1, 2, 5, 6, 7, 8, 9, 8]
    assert SharedPrefixes.of(ids, borders, 5) is None


def test_a_row_of_which_little_would_be_saved_is_computed_as_it_is() -> None:
    ids, borders = ids_of([1, 2, *range(10, 40)], [1, 2, *range(50, 80)])
    assert SharedPrefixes.of(ids, borders, 1) is None
    assert SharedPrefixes.of(*ids_of([1, 2, 3]), 1) is None


def losses_and_gradients(model: Any, loss: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return loss.detach(), list(torch.autograd.grad(loss, trained))


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("trained_from", [0, 14], ids=["trained inside", "trained behind"])
def test_loss_and_gradients_are_those_of_each_conversation_alone(kind: str, trained_from: int) -> None:
    shared = adapted(CONFIGS[kind]()).train()
    plain = adapted(CONFIGS[kind](), packed=False).train()
    batch = batch_that_begins_alike(12, [20, 25, 16])
    for start in batch["borders"][:-1]:
        batch["labels"][0, start : start + trained_from] = IGNORE_INDEX
    passed, rows = PackedPass(shared, shares_from=1), []
    shared.get_input_embeddings().register_forward_hook(lambda _m, _in, out: rows.append(out.shape[1]))
    found = losses_and_gradients(shared, passed(batch))
    # What comes after the last trained token, the very last, is not computed, nor are twelve tokens twice more.
    assert rows == [20 + 25 + 16 - 3 - 2 * 12]
    torch.testing.assert_close(found, losses_and_gradients(plain, PlainPass(plain)(batch)))


def test_in_bf16_it_is_as_near_to_the_truth_as_each_conversation_by_itself() -> None:
    batch = batch_that_begins_alike(40, [60, 70, 50])

    def gradients(dtype: torch.dtype, shares_from: int | None) -> torch.Tensor:
        model = adapted(LlamaConfig(**SMALL)).to(dtype).train()
        _, found = losses_and_gradients(model, PackedPass(model, shares_from=shares_from)(batch))
        return torch.cat([one.double().flatten() for one in found])

    truth = gradients(torch.float64, None)
    shared, apart = (float((gradients(torch.bfloat16, one) - truth).norm()) for one in (1, None))
    assert apart > 0
    assert shared < 1.5 * apart
    torch.testing.assert_close(gradients(torch.float64, 1), truth, rtol=1e-4, atol=1e-5)


def test_two_passes_give_the_same_to_the_last_bit() -> None:
    model = adapted(LlamaConfig(**SMALL)).train()
    batch = batch_that_begins_alike(12, [20, 25, 16, 30])
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    passed = LanedPass(PackedPass(model, shares_from=1), trained, 2)
    first, again = (losses_and_gradients(model, passed(batch)) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(one, other) for one, other in zip(first[1], again[1], strict=True))
    torch.testing.assert_close(first, losses_and_gradients(model, PackedPass(model)(batch)))


def test_dropout_makes_something_else_of_a_beginning_in_each_conversation() -> None:
    batch = batch_that_begins_alike(12, [20, 25])
    passed = PackedPass(adapted(LlamaConfig(**SMALL), dropout=0.1).train(), shares_from=1)
    assert passed.prefixes_of(batch) is None
    passed.model.eval()  # as what is held out is measured
    assert passed.prefixes_of(batch) is not None
    attentive = PackedPass(adapted(LlamaConfig(**SMALL, attention_dropout=0.1)).train(), shares_from=1)
    assert attentive.prefixes_of(batch) is None


def trial_alike() -> Trial:
    trial = trial_of([9, 14, 11])
    return Trial(trial.short, trial.long, batch_that_begins_alike(6, [12, 12]))


def test_the_trial_takes_it_where_it_gives_the_same(emit: Recorder) -> None:
    chosen = choose_pass(adapted(LlamaConfig(**SMALL), packed=False), trial_alike(), torch.float32, emit)
    assert isinstance(chosen, PackedPass)
    assert (chosen.shares_from, pieces_of(chosen).prefixes) == (LEAST_TOKENS, "once")
    assert emit.of("log") == []
    kept = pieces_of(chosen).model_copy(update={"prefixes": "each"})
    other = adapted(LlamaConfig(**SMALL), packed=False)
    again = choose_pass(other, trial_alike(), torch.float32, emit, kept=kept)
    assert pieces_of(again) == kept
    assert emit.of("log") == []


def test_the_trial_leaves_it_where_it_gives_something_else(
    emit: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgets(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        firsts = [gradients[0][:, :, part.whole] for part in ctx.parts if part.first]
        return torch.cat(firsts, dim=2), None

    monkeypatch.setattr(prefixes._Whole, "backward", staticmethod(forgets))
    chosen = choose_pass(adapted(LlamaConfig(**SMALL), packed=False), trial_alike(), torch.float32, emit)
    assert isinstance(chosen, PackedPass)
    assert (chosen.shares_from, pieces_of(chosen).prefixes) == (None, "each")
    assert "the gradients differ" in said(emit.of("log")[0])


def test_a_trial_of_a_run_s_own_conversations_has_two_that_begin_alike() -> None:
    samples = Samples(batch_of([9, 14, 30]))
    alike = Trial.of(samples, 5000, torch.device("cpu")).alike  # type: ignore[arg-type]
    assert alike is not None
    assert alike["borders"] == [0, 14, 28]
    ids, labels = alike["input_ids"][0].tolist(), alike["labels"][0].tolist()
    assert ids == labels
    assert (ids[:7], ids[7:14]) == (ids[14:21], ids[21:][::-1])


class Samples(list[dict[str, Any]]):
    """The conversations of a batch as the trainer has them."""

    def __init__(self, batch: Batch) -> None:
        edges = zip(batch["borders"][:-1], batch["borders"][1:], strict=True)
        super().__init__(
            {
                "index": index,
                "input_ids": batch["input_ids"][0, start:end].numpy(),
                "labels": batch["input_ids"][0, start:end].numpy(),
            }
            for index, (start, end) in enumerate(edges)
        )


def test_a_kernel_for_whole_rows_is_given_whole_conversations() -> None:
    """On the meta device, as for a GPU: nothing is waited for once the row is known."""
    batch = batch_that_begins_alike(12, [20, 25])
    found = SharedPrefixes.of(batch["input_ids"], batch["borders"], 1)
    assert found is not None
    model = adapted(LlamaConfig(**SMALL), packed=False).to("meta")
    assert set_attention(model, PACKED_ATTENTION)
    there = SharedPrefixes(found.parts, found.computed.to("meta"), found.places.to("meta"))
    moved = {name: value.to("meta") for name, value in batch.items() if isinstance(value, torch.Tensor)}
    hidden = PackedPass(model).hidden({**batch, **moved}, there)
    assert hidden.shape == (1, 20 + 25 - 12, 32)
