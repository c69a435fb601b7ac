"""The benchmarks: `python -m tests.benchmarks [NAME …] [--json FILE]`, which is what `make bench` runs.

It prints figures beside goals and asserts nothing: machines differ, ratios in one run do not.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from app.interop.handing import TOOLS
from app.masking import turn_off_library_threads
from tests.benchmarks.measuring import Result, machine, versions

# In this order: what needs little memory and no torch comes first.
BENCHMARKS: Final = {
    "start": "start",
    "masks": "masks",
    "import": "importing",
    "pages": "pages",
    "generation": "generation",
    "training": "training",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which of: {', '.join(BENCHMARKS)}; default: all"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--model", type=Path, help="folder of the base model; default: the bundled one")
    parser.add_argument(
        "--tools",
        nargs="+",
        metavar="TOOL",
        choices=TOOLS,
        default=TOOLS,
        help="beside which training is measured",
    )
    parser.add_argument("--rounds", type=int, default=6, help="of training, for each pair")
    parser.add_argument(
        "--avx2", action="store_true", help="compute as a processor does that has AVX2 and nothing wider"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    os.environ["HF_HUB_OFFLINE"] = "1"
    if arguments.avx2:
        # Read by torch, oneDNN and MKL when a process begins, here and in every trainer's.
        os.environ |= {
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        }
    turn_off_library_threads()
    # As Ctrl-C: processes that a benchmark started are ended with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Libraries' own remarks would come between the tables.
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    warnings.simplefilter("ignore")
    console = Console(highlight=False, width=None if Console().is_terminal else 120)
    here = machine()
    console.print(_described(here))
    model = arguments.model or _bundled_model()
    results: dict[str, Any] = {}
    for name in arguments.names or BENCHMARKS:
        began = time.monotonic()
        module = importlib.import_module(f"tests.benchmarks.{BENCHMARKS[name]}")
        options = {"tools": arguments.tools, "rounds": arguments.rounds} if name == "training" else {}
        with console.status(name) as status:
            result: Result = module.measure(model, lambda text: status.update(text), **options)
        _print(console, result, time.monotonic() - began)
        results[name] = result.to_json()
        if arguments.json:
            # After each: what was measured is not lost when a later one is interrupted.
            arguments.json.write_text(
                json.dumps({"machine": here, "results": results}, indent=1) + "\n", "utf-8"
            )


def _bundled_model() -> Path:
    from tests.support.small_model import small_model_folder

    return small_model_folder()


def _described(here: dict[str, Any]) -> str:
    return (
        f"{here['cores']} cores, {here['processor']}, {here['memory_gb']} GB, {here['system']}, "
        f"Python {here['python']}; load before the start: {' '.join(str(load) for load in here['load'])}"
    )


def _print(console: Console, result: Result, seconds: float) -> None:
    table = Table(title=f"\n{result.name} ({seconds:.0f} s)", title_justify="left", header_style="bold")
    for number, column in enumerate(result.columns):
        table.add_column(column, justify="right" if number else "left")
    for row in result.rows:
        table.add_row(row.name, *row.figures)
    console.print(table)
    for goal in result.goals:
        sign = "≤" if goal.at_most else "≥"
        verdict = "[green]met[/]" if goal.met else "[yellow]not met[/]"
        figure = f"{goal.found:.4g}{goal.unit} (goal {sign} {goal.wanted:g}{goal.unit})"
        console.print(f"  {goal.what}: {figure}: {verdict}")
    for note in result.notes:
        console.print(f"  {note}", markup=False, style="dim")
    packages = ", ".join(f"{name} {version}" for name, version in versions(result.packages).items())
    console.print(f"  compared: {result.compared}", markup=False, style="dim")
    console.print(f"  with: {packages}", markup=False, style="dim")


if __name__ == "__main__":
    main()
