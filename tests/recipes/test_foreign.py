"""Configs of LLaMA-Factory and Axolotl read as ours: what the studio wrote comes back, the rest is told key by key."""

import pytest

from app.core.errors import Invalid
from app.core.i18n import say
from app.interop.handing import HandedRun, Handing
from app.interop.writing import WRITERS
from app.recipes.config import TrainingConfig, parse_config
from app.recipes.foreign import read_foreign, read_sound
from tests.interop.test_options import handed

CONFIGS = {"llamafactory": "train.yaml", "axolotl": "config.yml"}
CHANGED = {
    "learning_rate": 2e-4,
    "num_train_epochs": 2.0,
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.1,
    "use_rslora": True,
    "use_dora": True,
    "gradient_checkpointing": True,
    "use_liger_kernel": True,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 3,
    "lr_scheduler_type": "linear",
    "weight_decay": 0.02,
    "adam_beta2": 0.95,
    "seed": 7,
    "save_total_limit": 3,
}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (": : [broken", "line 1, column 1"),
        ("lora_r: 8\n  lora_alpha: 16", "line 2, column 13"),
        ("a: 'b", "line 1"),
    ],
)
def test_a_broken_file_is_refused_by_the_place_and_not_in_the_parsers_words(text: str, place: str) -> None:
    with pytest.raises(Invalid, match=place) as refused:
        read_foreign(text)
    said = refused.value.sentence.english()
    assert not any(word in said for word in ("while", "expected", "^"))


@pytest.mark.parametrize("tool", CONFIGS)
@pytest.mark.parametrize("changes", [{}, CHANGED, {"load_in_4bit": True}])
def test_what_the_studio_wrote_for_a_tool_comes_back(tool: str, changes: dict[str, object]) -> None:
    run: HandedRun = handed(**changes)
    handing = Handing(tool, leave_out=True)  # type: ignore[arg-type]
    WRITERS[tool](run, handing)  # type: ignore[index]
    read = read_foreign(handing.files[CONFIGS[tool]])
    assert read.tool == tool
    config = parse_config(read.values)
    for name in {*CHANGED, "load_in_4bit", "use_peft", "max_grad_norm", "logging_steps"}:
        assert getattr(config, name) == getattr(run.config, name), name
    told = {
        key.partition(":")[0]
        for note in read.notes
        for key in str(note.values.get("keys", note.values.get("key"))).split(", ")
    }
    assert not told & set(TrainingConfig.model_fields)


@pytest.mark.parametrize("rank", ["8", "'8'"])
def test_a_rank_without_an_alpha_has_the_scale_that_the_tool_gives_it(rank: str) -> None:
    read = read_sound(f"finetuning_type: lora\nlora_rank: {rank}\n")
    assert (read.values["lora_r"], read.values["lora_alpha"]) == (8, 16)
    assert [say(note) for note in read.notes] == [
        "lora_alpha is not in the file: LLaMA-Factory takes twice the rank then, 16."
    ]
    assert "lora_alpha" not in read_sound("finetuning_type: lora\nlora_rank: many\n").values


def test_every_key_without_a_meaning_is_told_by_name() -> None:
    read = read_foreign(
        "finetuning_type: freeze\nflash_attn: fa2\ntemplate: qwen\nlora_rank: 8\nlora_alpha: 32\nlearning_rate: 1e-4\n"
    )
    assert read.values == {"lora_r": 8, "lora_alpha": 32, "learning_rate": "1e-4"}
    assert parse_config(read.values).learning_rate == 1e-4
    assert [(note.values["key"], "left out" in note.template) for note in read.notes] == [
        ("finetuning_type", True),
        ("template", False),
        ("flash_attn", True),
    ]
    assert read_foreign("base_model: x\noptimizer: adamw_bnb_8bit\n").values == {"optim": "adamw_8bit"}


def test_a_long_file_gets_a_note_for_each_reason_in_which_every_key_stands() -> None:
    unknown = [f"key_{number}" for number in range(60)]
    read = read_sound(
        "base_model: x\nsequence_len: 2048\nlearning_rate: 1e-4\nadapter: odd\nlora_target_linear: some\n"
        + "".join(f"{key}: 1\n" for key in unknown)
    )
    assert [say(note) for note in read.notes] == [
        "2 values are nothing that can be trained here and are left out: adapter: odd, lora_target_linear: some.",
        "2 keys are chosen here with the data, the model or the mask settings; look at them there: base_model, sequence_len.",
        f"60 keys have no meaning here and are left out: {', '.join(unknown)}.",
    ]


def test_a_wrong_value_is_left_out_and_told_why() -> None:
    read = read_sound(
        "base_model: x\nlora_r: 0\nlora_target_modules: [q_proj, 3]\noptimizer: lion\nlearning_rate: 1e-4\n"
        "adapter: \npeft_use_dora: true\n"
    )
    assert read.values == {"learning_rate": 1e-4, "use_peft": False}
    told = " ".join(say(note) for note in read.notes)
    for reason in (
        "lora_r is left out: lora_r must be at least 1.",
        "lora_target_modules is left out: lora_target_modules must",
        "optimizer is left out: optim must be one of",
        "peft_use_dora is left out: use_dora needs an adapter",
    ):
        assert reason in told


def test_a_value_that_is_said_to_be_left_out_sets_nothing() -> None:
    odd = "base_model: x\nadapter: llama-adapter\nlora_target_linear: some\nload_in_4bit: 8\n"
    other = "finetuning_type: oft\nquantization_bit: 8\ndisable_gradient_checkpointing: some\n"
    for text, keys in ((odd, 3), (other, 3)):
        read = read_sound(text)
        assert read.values == {}
        assert say(read.notes[0]).startswith(f"{keys} values are nothing that can be trained here")


# Aliases that multiply, a number too long to be written, half a character.
_ODD = [
    "a: &a [x]\nlora_r: *a",
    "finetuning_type: 0x" + "f" * 9000,
    'lora_rank: 8\n"\\ud800": 1',
    "lora_r: 8\n#" + "x" * 100_000,
]


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "colour: blue", "1: 2", "", *_ODD])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_foreign(text)
    assert refused.value.field == "config"


def test_a_key_that_is_said_twice_is_refused_with_its_line() -> None:
    for text in (
        "base_model: x\nadapter: lora\nlearning_rate: 1e-4\nlearning_rate: 2e-4\n",
        "sft_studio_recipe: 1\nsettings:\n  lora_r: 8\n  lora_r: 16\n",
    ):
        with pytest.raises(Invalid, match=r"says (learning_rate|lora_r) twice, the second time in line 4\."):
            read_foreign(text)
    merged = read_foreign("base_model: x\nadapter: lora\n<<: {lora_r: 8}\nlora_r: 16\n")
    assert merged.values["lora_r"] == 16


def test_an_axolotl_config_without_an_adapter_trains_every_weight_as_axolotl_does() -> None:
    whole = read_sound("base_model: x\ndatasets: [{path: y}]\nlearning_rate: 2e-5\n")
    assert (whole.values["use_peft"], whole.keys["use_peft"]) == (False, "adapter")
    assert "adapter is not in the file" in say(whole.notes[-1])
    assert read_sound("base_model: x\nadapter: lora\n").values["use_peft"] is True
    assert "use_peft" not in read_sound("micro_batch_size: 1\nlora_r: 8\n").values
