"""The option names that a tool knows, as its own code declares them: option_names.py TOOL FILE writes them as JSON.

Runs in the tool's environment, so it imports nothing of the project. `make interop` compares with what is kept in options/.
"""

import dataclasses
import inspect
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def llamafactory() -> dict[str, list[str]]:
    from llamafactory.hparams.parser import _TRAIN_ARGS

    return {
        "train": sorted({one.name for kind in _TRAIN_ARGS for one in dataclasses.fields(kind) if one.init})
    }


def axolotl() -> dict[str, list[str]]:
    from axolotl.integrations.liger.args import LigerArgs
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset

    return {
        # Those of the one plugin that the files name are among them.
        "config": sorted({*AxolotlInputConfig.model_fields, *LigerArgs.model_fields}),
        "dataset": sorted(SFTDataset.model_fields),
    }


def trl() -> dict[str, list[str]]:
    from peft import LoraConfig
    from trl import SFTConfig

    return {"training": _fields(SFTConfig), "lora": _fields(LoraConfig)}


def unsloth() -> dict[str, list[str]]:
    # Before TRL, which it changes.
    from unsloth import FastLanguageModel  # isort: skip
    from trl import SFTConfig

    return {
        "training": sorted({*_fields(SFTConfig), *_parameters(SFTConfig.__init__)}),
        "lora": sorted(_parameters(FastLanguageModel.get_peft_model)),
        "model": sorted(_parameters(FastLanguageModel.from_pretrained)),
    }


def _fields(kind: Any) -> list[str]:
    return sorted(one.name for one in dataclasses.fields(kind) if one.init)


def _parameters(function: Any) -> list[str]:
    names = inspect.signature(function).parameters.values()
    return [
        one.name for one in names if one.kind is one.POSITIONAL_OR_KEYWORD or one.kind is one.KEYWORD_ONLY
    ]


if __name__ == "__main__":
    tool = sys.argv[1]
    found = {"llamafactory": llamafactory, "axolotl": axolotl, "trl": trl, "unsloth": unsloth}[tool]()
    # Not to standard output, where the tools have much to say.
    Path(sys.argv[2]).write_text(json.dumps({"version": version(tool), **found}, indent=1) + "\n", "utf-8")
