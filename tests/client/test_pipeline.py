"""What is typed after --set, as requests carry it."""

import json

from app.client.pipeline import parse_changes


def test_what_no_request_can_hold_reaches_the_server_as_it_was_typed() -> None:
    odd = {"learning_rate": "NaN", "weight_decay": "1e400", "seed": "-Infinity", "lora_alpha": "[" * 99_999}
    changes = parse_changes([*(f"{name}={text}" for name, text in odd.items()), "lora_r=8", "bf16=true"])
    assert changes == {**odd, "lora_r": 8, "bf16": True}
    json.dumps(changes, allow_nan=False)
