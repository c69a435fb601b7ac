"""The model card that goes with the files of a run: facts at the head as the hub reads them, then words. In English.

Loads no database, for the worker's children write it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from app.core.markdown import on_one_line
from app.exports.snippets import peft, transformers
from app.exports.work import Scores, SuiteScore
from app.mask_settings.fields import MaskSettingsIn, write_settings
from app.recipes.config import TrainingConfig
from app.recipes.mixing import CURRICULUM
from app.runs.beginning import How
from app.runs.provenance import EarlierRun, Provenance
from app.runs.result import RunResult

CARD: Final = "README.md"
# The same facts for programs.
PROVENANCE: Final = "sft_studio.json"
# What whoever downloads the files replaces by where they put them.
THIS_FOLDER: Final = "this-folder"


@dataclass(frozen=True)
class CardStyle:
    """What differs between kinds of files: `about` says what they are, `usage` is Markdown, `library` and `tags` are the
    hub's words.
    """

    about: str
    usage: Sequence[str]
    library: str
    tags: Sequence[str]


def adapter_style(provenance: Provenance) -> CardStyle:
    """Of a folder with PEFT's files."""
    about = f"A LoRA adapter for `{provenance.base_model}`, trained on dialogues with SFT Studio."
    usage = peft(provenance, THIS_FOLDER).markdown()
    return CardStyle(about, usage, "peft", ("lora", "sft", "sft-studio"))


def whole_style(provenance: Provenance) -> CardStyle:
    """Of a folder with a model of which every weight was trained."""
    about = f"A full fine-tune of `{provenance.base_model}`, trained on dialogues with SFT Studio."
    return CardStyle(
        about, transformers(provenance, THIS_FOLDER).markdown(), "transformers", ("sft", "sft-studio")
    )


def tuned_style(provenance: Provenance, config: TrainingConfig) -> CardStyle:
    """Of what a run trains."""
    return adapter_style(provenance) if config.use_peft else whole_style(provenance)


def model_card(
    provenance: Provenance,
    config: TrainingConfig,
    result: RunResult,
    style: CardStyle,
    scores: Scores | None = None,
) -> str:
    """The whole card."""
    version = "" if provenance.recipe_version is None else f", version {provenance.recipe_version}"
    return "\n".join(
        [
            *_head(provenance, style),
            f"# {on_one_line(provenance.run)}",
            "",
            style.about,
            *([provenance.base_remark] if provenance.base_remark else []),
            "",
            "## Use",
            "",
            *style.usage,
            "",
            "## What it was trained on",
            "",
            *_trained_on(provenance, result),
            "",
            "## How",
            "",
            f"- Recipe: {on_one_line(provenance.recipe)}{version}; {result.steps} of {result.total_steps} steps, weights of step "
            f"{result.adapter_step}",
            _trained(config),
            *_begins(provenance),
            *([f"- Trained by: {result.trained_by}"] if result.trained_by else []),
            *_losses(result),
            *(
                f"- Warning accepted before the start, `{one.name}`: {on_one_line(one.sentence.english())}"
                for one in provenance.accepted_warnings
            ),
            f"- Every setting: `{PROVENANCE}`",
            "",
            *(_how_good(scores) if scores else []),
            *(_checklist(scores) if scores and scores.checklist else []),
            *_licence(provenance),
        ]
    )


def provenance_document(
    provenance: Provenance, config: TrainingConfig, result: RunResult, scores: Scores | None = None
) -> str:
    """What the card says, as JSON for programs."""
    about = {"provenance": provenance.to_json(), "config": config.to_json(), "result": result.to_json()}
    if scores:
        # Where it is seen is on the server that made it.
        about["scores"] = scores.model_dump(mode="json", exclude={"checklist": {"__all__": {"link"}}})
    return json.dumps(about, ensure_ascii=False, indent=1) + "\n"


def _head(provenance: Provenance, style: CardStyle) -> list[str]:
    quoted = json.dumps(provenance.base_model, ensure_ascii=False)
    licence = [f"license: {provenance.base_licence}"] if provenance.base_licence else []
    return [
        "---",
        f"base_model: {quoted}",
        *licence,
        f"library_name: {style.library}",
        "pipeline_tag: text-generation",
        "tags:",
        *(f"- {tag}" for tag in style.tags),
        "---",
        "",
    ]


def _trained_on(provenance: Provenance, result: RunResult) -> list[str]:
    return [
        f"- Dataset: {on_one_line(provenance.dataset)}, version {provenance.version} (sha256 `{provenance.version_hash}`): "
        f"{provenance.conversations} conversations to train on, {provenance.held_out} held out",
        f"- Loss mask: {', '.join(_mask(provenance.mask))}; arrays sha256 `{provenance.arrays_hash}`",
        *_mixed_in(provenance, result),
        *(_before(one) for one in provenance.earlier),
        f"- Samples whose labels reached the loss: {result.labels_seen} of {result.labels_total}",
    ]


def _before(one: EarlierRun) -> str:
    """Whose data are in the weights as well."""
    mixed = (
        f", with {on_one_line(one.mix.dataset)}, version {one.mix.version} (sha256 `{one.mix.version_hash}`) mixed in"
        if one.mix
        else ""
    )
    return (
        f"- Before that, in run {one.run_id} (“{on_one_line(one.run)}”): {on_one_line(one.dataset)}, version {one.version} "
        f"(sha256 `{one.version_hash}`), {one.conversations} conversations{mixed}"
    )


def _mixed_in(provenance: Provenance, result: RunResult) -> list[str]:
    source, mixed = provenance.mix, result.mix
    if source is None or mixed is None:
        return []
    order = ", trained before the domain's" if source.order == CURRICULUM else ""
    losses = [loss for loss in (mixed.loss_before, mixed.loss_after) if loss is not None]
    measured = f"; its held-out loss {' → '.join(f'{loss:.4f}' for loss in losses)}" if losses else ""
    return [
        f"- Mixed in{order}: {on_one_line(source.dataset)}, version {source.version} (sha256 `{source.version_hash}`): "
        f"{mixed.mixed_in.conversations} conversations beside {mixed.domain.conversations} of the domain "
        f"({mixed.share:.0%}; {mixed.trained_share:.0%} of the trained tokens), drawn with seed {mixed.seed} from "
        f"{mixed.available}{measured}; arrays sha256 `{source.arrays_hash}`, both together `{mixed.arrays_hash}`",
    ]


def _mask(settings: MaskSettingsIn) -> list[str]:
    """Every setting by its name, but for limits that there are none of."""
    named = write_settings(settings.to_settings())
    return [f"`{name}={value}`" for name, value in named.items() if value]


def _trained(config: TrainingConfig) -> str:
    if not config.use_peft:
        return "- Every weight was trained (full fine-tune)"
    kind = "DoRA" if config.use_dora else "LoRA"
    scale = ", scaled by the root of the rank (rsLoRA)" if config.use_rslora else ""
    bits = ", on weights in 4 bits" if config.load_in_4bit else ""
    figures = f"rank {config.lora_r}, alpha {config.lora_alpha}, dropout {config.lora_dropout}"
    return f"- {kind}: {figures}{scale}{bits}"


_BEGINS: Final[dict[How, str]] = {
    "checkpoint": "went on from the checkpoint of step {step} of",
    "kept": "is the checkpoint of step {step} of",
    "adapter": "began with the adapter, as of step {step}, of",
}


def _begins(provenance: Provenance) -> list[str]:
    begins = provenance.begins
    if begins is None:
        return []
    how = _BEGINS[begins.how].format(step=begins.step)
    return [f"- It {how} run {begins.run_id}, “{on_one_line(begins.run)}”"]


def _losses(result: RunResult) -> list[str]:
    found = [("Training loss", result.train_loss), ("Held-out loss", result.eval_loss)]
    return [f"- {name}: {value:.4f}" for name, value in found if value is not None]


def _how_good(scores: Scores) -> list[str]:
    """Beside the base model, whatever was measured; that nothing was is said too."""
    lines = ["## How good it is", ""]
    if earlier := scores.earlier:
        lines += [
            f"Held-out loss, of run {earlier.run_id} that it began from → of this one: {earlier.before:.4f} → {earlier.after:.4f} "
            "nats a trained token",
            "",
        ]
    if not scores.suites and not scores.held_out_loss:
        return [*lines, "It was not judged beside its base model before it was exported.", ""]
    if scores.suites:
        lines += [
            "Both models answered the same prompts, greedily; declared checks judged the answers.",
            "",
            "| suite | verdict | won–lost–equal | checks passed, base → tuned | general ability left |",
            "|---|---|---|---|---|",
            *(_row(one) for one in scores.suites),
            "",
        ]
    if losses := scores.held_out_loss:
        lines += [
            f"Held-out loss, base → tuned: {losses.base:.4f} → {losses.tuned:.4f} nats a trained token",
            "",
        ]
    return lines


def _checklist(scores: Scores) -> list[str]:
    """Item by item, with the evidence there was when the files were made."""
    lines = ["## Checklist", ""]
    for part, items in groupby(scores.checklist, key=lambda one: one.part_title):
        lines += [f"**{part}**", ""]
        lines += [f"- {one.word}: {one.title}. {on_one_line(one.evidence)}" for one in items]
        lines += [""]
    return lines


def _row(one: SuiteScore) -> str:
    left = "–" if one.retention is None else f"{one.retention:.0%}"
    return (
        f"| {on_one_line(one.title)} | {one.verdict} | {one.wins}–{one.losses}–{one.ties} "
        f"| {one.checks_before} → {one.checks_after} of {one.checks} | {left} |"
    )


def _licence(provenance: Provenance) -> list[str]:
    named = (
        f"`{provenance.base_licence}`"
        if provenance.base_licence
        else "not named in its files: look before sharing"
    )
    return ["## Licence", "", f"Of the base model `{provenance.base_model}`: {named}.", ""]
