"""Several values of a field as people type them: what is one value, what are several, what changes together."""

import pytest

from app.core.errors import Invalid
from app.recipes.axes import Axis, axes_of, combinations, make_axis, read_axis, read_lines, split_values


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("learning_rate", "2e-5, 5e-5,1e-4", ["2e-5", "5e-5", "1e-4"]),
        ("learning_rate", "2e-5，5e-5", ["2e-5", "5e-5"]),
        ("seed", "1；2", ["1", "2"]),
        ("learning_rate", "2e-5", ["2e-5"]),
        # Names of layers are one value, however many they are.
        ("lora_target_modules", "q_proj,v_proj", ["q_proj,v_proj"]),
        ("lora_target_modules", "q,v; all-linear", ["q,v", "all-linear"]),
        ("sample_prompts", "Hello, there", ["Hello, there"]),
        ("colour", "red, blue", ["red, blue"]),
    ],
)
def test_a_comma_tells_values_apart_where_it_belongs_to_none(name: str, text: str, values: list[str]) -> None:
    assert split_values(name, text) == values


def test_every_combination_is_a_run_and_what_is_tied_changes_together() -> None:
    single, axes = axes_of({"learning_rate": "2e-5, 5e-5", "lora_dropout": "0.1"})
    axes += read_lines("lora_r : lora_alpha = 16:32, 64：128\n\nlr_scheduler_type = cosine, linear")
    assert single == {"lora_dropout": "0.1"}
    runs = combinations(axes)
    assert len(runs) == 8
    assert runs[0] == {
        "learning_rate": "2e-5",
        "lora_r": "16",
        "lora_alpha": "32",
        "lr_scheduler_type": "cosine",
    }
    assert runs[-1] == {
        "learning_rate": "5e-5",
        "lora_r": "64",
        "lora_alpha": "128",
        "lr_scheduler_type": "linear",
    }


@pytest.mark.parametrize(
    ("lines", "field", "sentence"),
    [
        ("seed", "together", "is no line such as"),
        ("colour = 1, 2", "colour", "there is no such setting"),
        ("sample_prompts = a, b", "sample_prompts", "there is no such setting"),
        ("lora_r:lora_alpha = 16:32, 64", "lora_r", "“64” needs 2 values"),
        ("seed = 1,,2", "seed", "an empty value"),
        ("seed = 1, 2\nseed = 3", "seed", "varied twice"),
        (
            "seed = 1,2,3,4,5\nlora_r = 1,2,3,4,5",
            "seed",
            r"25 runs are asked for \(5 × 5\), and a sweep has at most 24",
        ),
    ],
)
def test_what_cannot_be_varied_is_refused_by_field(lines: str, field: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence) as raised:
        combinations(read_lines(lines))
    assert raised.value.field == field


def test_a_product_beyond_all_bounds_is_refused_before_it_is_made() -> None:
    axes = [
        make_axis((name,), [(value,) for value in range(1000)])
        for name in ("seed", "max_steps", "lora_r", "lora_alpha")
    ]
    with pytest.raises(Invalid, match="1,000,000,000,000 runs"):
        combinations(axes)
    assert read_axis("seed", "1, 2") == Axis(("seed",), (("1",), ("2",)))
