"""Of the base model: whether its template and its length fit, and whether it can learn to stop."""

from collections.abc import Iterator

from app.base_models.models import ModelEntry
from app.core.errors import Conflict, StudioError
from app.mask_checks.report import MaskReport
from app.runs.fitting import untrained_end
from app.runs.preflight.data import error_item
from app.runs.preflight.facts import Facts
from app.runs.preflight.items import Change, Item, Name, ok, warning
from app.sentences import N_, Sentence


def model_items(facts: Facts) -> Iterator[Item]:
    """Of the model alone."""
    if facts.plan.config is not None:
        yield _end_of_turn(facts)


def rendered_items(facts: Facts) -> Iterator[Item]:
    """Of the model and a dataset that it is to read."""
    yield _template(facts)


def length_refusal(report: MaskReport | None, model: ModelEntry) -> StudioError | None:
    """Without a length limit a sample may be longer than the model was made for; it would learn noise from it."""
    longest, limit = report.longest if report else 0, model.info.context_length
    if not limit or longest <= limit:
        return None
    return Conflict(
        N_(
            "The longest sample has %(longest)d tokens and “%(model)s” reads at most %(limit)d. Set a length limit and "
            "check the masks again."
        ),
        field="max_length",
        longest=longest,
        limit=limit,
        model=model.name,
    )


def _template(facts: Facts) -> Item:
    refusal, report = length_refusal(facts.report, facts.model), facts.report
    link = f"/base-models/{facts.model.id}"
    if refusal is not None:
        return error_item(Name.TEMPLATE, refusal, facts.check_page)
    values = {"model": facts.model.name, "end": facts.model.info.end_of_turn or "–"}
    if report and report.rewritten_turns:
        message = N_(
            "The chat template of %(model)s shows %(turns)d turns otherwise than the model has to write them, so what is trained "
            "is not what will be asked for."
        )
        sentence = Sentence.of(message, **values, turns=report.rewritten_turns)
        helps = N_(
            "Look at the turns in the mask check; write them as the template keeps them, or set its arguments."
        )
        return warning(Name.TEMPLATE, sentence, helps=helps, link=facts.check_page)
    message = N_("Rendered by the chat template of %(model)s, end of turn %(end)s.")
    return ok(Name.TEMPLATE, message, link, **values)


def _end_of_turn(facts: Facts) -> Item:
    config, info = facts.plan.config, facts.model.info
    assert config is not None
    link, values = f"/base-models/{facts.model.id}", {"token": info.end_of_turn or "–"}
    unlearnt = untrained_end(config, info)
    if unlearnt is not None:
        helps = N_("Let its row be trained too.")
        change = Change("trainable_tokens", "auto")
        return warning(Name.END_OF_TURN, unlearnt, helps=helps, link=link, change=change)
    if info.end_of_turn_trained is False:
        message = N_("%(token)s was never trained in this base model; its row is trained here.")
        return ok(Name.END_OF_TURN, message, link, **values)
    message = N_("The base model knows %(token)s, which ends an answer.")
    if info.end_of_turn_trained is None:
        message = N_("Nobody noted whether the base model knows %(token)s, which ends an answer.")
    return ok(Name.END_OF_TURN, message, link, **values)
