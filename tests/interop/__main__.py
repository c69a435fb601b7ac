"""`make interop`: other trainers train for real, beside the studio's own training.

Exports: on a tiny model, the tokens and labels that reach each tool's model are the checked ones, for every kind of template,
tools, reasoning and flags, and the losses of a full fine-tune are the studio's; on the bundled model, the losses of the first
steps, speed and memory, and the losses of DoRA, rsLoRA, QLoRA and every weight. Backends: a run is started through REST and the worker,
trained by the tool, evaluated and exported. What differs makes it fail.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from app.interop.handing import COMMANDS, TOOL_NAMES, TOOL_VERSIONS, TOOLS, Tool
from app.interop.writing import hand_over
from tests.benchmarks.measuring import machine
from tests.interop import tools
from tests.interop.backends import train_with
from tests.interop.material import (
    STEPS,
    Material,
    Trained,
    bundled_model,
    config_of,
    every_kind,
    expected_batches,
    prepare,
    tiny_model,
    train_in_the_studio,
)
from tests.interop.several import in_two_processes
from tests.interop.stopping import stop_and_go_on
from tests.interop.ways import SAME_GRADIENT, compare_ways
from worker.work.backends.tool_process import QUIETLY

# The environments hold the versions that train on a CPU, which are not all those that LLaMA-Factory asks for.
os.environ["DISABLE_VERSION_CHECK"] = "1"
# Of a loss: what another order of rounding may make of ten steps.
NEAR = 0.005


def main() -> int:
    parser = argparse.ArgumentParser(prog="make interop", description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"of: {', '.join(TOOLS)}; without any, all")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    halves = parser.add_mutually_exclusive_group()
    halves.add_argument("--backends", dest="exports", action="store_false", help="only runs, no exports")
    halves.add_argument("--exports", dest="backends", action="store_false", help="only exports, no runs")
    halves.add_argument(
        "--stopping", action="store_true", help="only runs that are stopped and go on, tiny ones"
    )
    halves.add_argument(
        "--several", action="store_true", help="only runs in two processes, DeepSpeed's among them, tiny ones"
    )
    halves.add_argument("--ways", action="store_true", help="only exports of other ways to train than LoRA")
    asked = parser.parse_args()
    chosen = [tool for tool in TOOLS if tool in (asked.tools or TOOLS)]
    if strange := set(asked.tools) - set(TOOLS):
        parser.error(f"there is no tool {', '.join(sorted(strange))}")
    for tool in chosen:
        if tool != "trl":
            tools.install(tool)
    alone = asked.stopping or asked.several or asked.ways
    stopping, several = (
        asked.stopping or (asked.backends and not alone),
        asked.several or (asked.backends and not alone),
    )
    ways = asked.ways or (asked.exports and not alone)
    asked.exports, asked.backends = asked.exports and not alone, asked.backends and not alone
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sft-studio-interop-") as name:
        folder = Path(name)
        for tool in chosen:
            wrong += options_differ(tool, folder)
        together = in_two_processes(chosen, folder / "several", wrong) if several else {}
        stopped = stop_and_go_on(chosen, folder / "stopping", wrong, NEAR) if stopping else {}
        if asked.exports:
            wrong += compare_tokens(chosen, folder / "tokens")
            wrong += compare_every_weight(chosen, folder / "whole")
        figures = compare_losses(chosen, folder / "losses", wrong) if asked.exports else {}
        in_ways = compare_ways(chosen, folder / "ways", wrong, NEAR, run) if ways else {}
        backends = train_with(chosen, folder / "backends", wrong, NEAR) if asked.backends else {}
    print(machine_line())
    if asked.exports:
        print(table(figures))
    if ways:
        print(ways_table(in_ways))
    if asked.backends:
        print(backends_table(backends))
    for tool, told in stopped.items():
        print(f"{TOOL_NAMES[tool]} {TOOL_VERSIONS[tool]}: {told}")
    for way, beside_one in together.items():
        print(f"{way}: {beside_one}")
    for line in wrong:
        say(f"differs: {line}")
    if asked.json:
        asked.json.write_text(
            json.dumps(
                {
                    "machine": machine(),
                    "tools": figures,
                    "ways": in_ways,
                    "backends": backends,
                    "several": together,
                    "differs": wrong,
                },
                indent=1,
            )
        )
    return bool(wrong)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def options_differ(tool: Tool, folder: Path) -> list[str]:
    """Whether the tool knows other options than those that are kept; `make test` judges files by the kept ones."""
    found = folder / f"{tool}.json"
    script = Path(__file__).with_name("option_names.py")
    subprocess.run(
        [tools.python_of(tool), script, tool, found],
        check=True,
        env={**os.environ, **QUIETLY},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    kept = Path(__file__).parent / "options" / found.name
    if json.loads(found.read_text("utf-8")) == json.loads(kept.read_text("utf-8")):
        return []
    return [f"{TOOL_NAMES[tool]} has other options than tests/interop/options/{found.name}"]


def compare_tokens(chosen: list[Tool], folder: Path) -> list[str]:
    """One epoch over samples of every kind; every batch as it reached the tool's model, beside the arrays."""
    folder.mkdir()
    material = every_kind(tiny_model(folder), folder)
    wanted = expected_batches(material)
    wrong = []
    for tool in chosen:
        say(f"{TOOL_NAMES[tool]}: the tokens of {material.run.samples} samples of every kind")
        found = run(tool, material, folder)
        same = sum(a == b for a, b in zip(found.batches, wanted, strict=False))
        if found.batches != wanted:
            wrong.append(
                f"{TOOL_NAMES[tool]} trains other tokens in {len(wanted) - same} of {len(wanted)} batches"
            )
        else:
            say(f"  all {len(wanted)} batches are equal, token for token and label for label")
    return wrong


def compare_every_weight(chosen: list[Tool], folder: Path) -> list[str]:
    """A few steps in which every weight of a tiny model is trained, beside the studio's."""
    folder.mkdir()
    config = config_of(use_peft=False, learning_rate=1e-3, max_steps=4, eval_steps=4, save_steps=4)
    material = prepare(tiny_model(folder), folder, config)
    ours = train_in_the_studio(material, folder / "studio")
    wrong = []
    for tool in chosen:
        say(f"{TOOL_NAMES[tool]}: {len(ours.losses)} steps of every weight")
        found = run(tool, material, folder)
        apart = max(abs(found.losses.get(step, math.inf) - loss) for step, loss in ours.losses.items())
        say(f"  losses are {apart:.4f} apart")
        if apart > NEAR or found.held_out.keys() != ours.held_out.keys():
            wrong.append(f"{TOOL_NAMES[tool]} trains every weight otherwise: losses are {apart:.4f} apart")
    return wrong


def compare_losses(chosen: list[Tool], folder: Path, wrong: list[str]) -> dict[str, Any]:
    """Ten steps of the bundled model; the figures of each by its name. What differs is added to `wrong`."""
    folder.mkdir()
    material = prepare(bundled_model(folder), folder, config_of())
    say(f"SFT Studio: {STEPS} steps of the bundled model")
    ours = train_in_the_studio(material, folder / "studio")
    figures = {"SFT Studio": told("", ours, ours)}
    for tool in chosen:
        say(f"{TOOL_NAMES[tool]}: {STEPS} steps of the bundled model")
        found = run(tool, material, folder)
        one = figures[TOOL_NAMES[tool]] = told(TOOL_VERSIONS[tool], found, ours)
        # Now, as the table comes when all are done.
        say(f"  losses are {one['apart']:.4f} apart, {one['peak_memory_bytes'] / 1e9:.2f} GB")
        if found.batches[:STEPS] != ours.batches[:STEPS]:
            wrong.append(f"{TOOL_NAMES[tool]} trains other tokens, or in another order")
        if one["first_norm_apart"] > SAME_GRADIENT:
            wrong.append(f"{TOOL_NAMES[tool]}: the first gradient is {one['first_norm_apart']:.2%} apart")
        if len(found.losses) != STEPS or figures[TOOL_NAMES[tool]]["apart"] > NEAR:
            wrong.append(f"{TOOL_NAMES[tool]}: losses are {figures[TOOL_NAMES[tool]]['apart']:.4f} apart")
    return figures


def run(tool: Tool, material: Material, folder: Path) -> Trained:
    """Export and train; the export's folder goes when it is done."""
    place = folder / tool
    place.mkdir()
    hand_over(tool, material.run, material.arrays, place)
    found = tools.train(tool, COMMANDS[tool], place)
    shutil.rmtree(place)
    return found


def told(version: str, found: Trained, ours: Trained) -> dict[str, Any]:
    return {
        "version": version,
        "trained_in_first_batch": found.trained_in(0),
        "losses": list(found.losses.values()),
        "apart": max(abs(loss - ours.losses[step]) for step, loss in found.losses.items()),
        "first_norm_apart": found.first_norm_apart(ours),
        "held_out": found.held_out,
        "tokens_per_second": found.tokens_per_second(),
        "peak_memory_bytes": found.peak_memory_bytes,
    }


def table(figures: dict[str, Any]) -> str:
    """Of exports, as Markdown."""
    head = (
        "",
        "version",
        "trained tokens, first batch",
        f"loss, step 1 to {STEPS}",
        "apart",
        "tokens/s",
        "memory",
    )
    rows = [
        (
            name,
            one["version"],
            str(one["trained_in_first_batch"]),
            " ".join(f"{loss:.3f}" for loss in one["losses"]),
            f"{one['apart']:.4f}",
            f"{one['tokens_per_second']:.0f}",
            f"{one['peak_memory_bytes'] / 1e9:.2f} GB",
        )
        for name, one in figures.items()
    ]
    return markdown(head, rows)


def ways_table(figures: dict[str, Any]) -> str:
    """Of exports that train otherwise than LoRA, as Markdown."""
    rows = [
        (
            way,
            name,
            " ".join(f"{loss:.3f}" for loss in one["losses"]),
            f"{one['apart']:.4f}",
            " ".join(f"{loss:.4f}" for loss in one["held_out"].values()),
            f"{one['peak_memory_bytes'] / 1e9:.2f} GB",
        )
        for way, found in figures.items()
        for name, one in found.items()
    ]
    return markdown(("", "", "loss, step by step", "apart", "held-out loss", "memory"), rows)


def backends_table(figures: dict[str, Any]) -> str:
    """Of runs that the tools trained for the studio, as Markdown."""
    head = (
        "backend",
        "version",
        "trained tokens",
        "samples seen",
        f"loss, step 1 to {STEPS}",
        "apart",
        "held-out loss",
        "tokens/s",
        "memory",
    )
    rows = [
        (
            "SFT Studio" if name == "studio" else TOOL_NAMES[name],
            one["version"],
            str(one["trained_tokens"]),
            one["samples_seen"],
            " ".join(f"{loss:.3f}" for loss in one["losses"].values()),
            f"{one['apart']:.4f}",
            f"{one['held_out']:.4f}",
            f"{one['tokens_per_second']:.0f}",
            f"{one['peak_memory_bytes'] / 1e9:.2f} GB",
        )
        for name, one in figures.items()
    ]
    return markdown(head, rows)


def machine_line() -> str:
    """What it was measured on."""
    here = machine()
    return f"{here['processor']}, {here['cores']} cores, {here['memory_gb']} GB, load {here['load'][0]}"


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table."""
    lines = [" | ".join(cells) for cells in (head, ("---",) * len(head), *rows)]
    return "\n" + "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
