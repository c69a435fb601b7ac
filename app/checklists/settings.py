"""Config: learning rate, LoRA, epochs, bf16, clipping, judged by the rules that advise on the form of a new run."""

from collections.abc import Iterator

from app.checklists.facts import Facts
from app.checklists.items import Item, Part, State, item
from app.recipes.fields import display
from app.runs.beginning import Beginning
from app.sentences import N_

ANCHOR = "#saved-config"
# The gradients of a run that goes well seldom have a norm above it.
_LOOSE = 10.0


def config_items(facts: Facts) -> Iterator[Item]:
    """The second section."""
    if facts.run.begins is not None:
        yield _beginning(facts, facts.run.begins)
    yield _preflight(facts)
    yield _by_advice(facts, "learning_rate", ("learning_rate",), _learning_rate(facts))
    yield _by_advice(facts, "lora", ("lora_r", "lora_alpha", "lora_dropout"), _lora(facts))
    yield _by_advice(facts, "epochs", ("num_train_epochs", "early_stopping_patience"), _epochs(facts))
    yield _bf16(facts)
    yield _clipping(facts)


def _beginning(facts: Facts, begins: Beginning) -> Item:
    """Which run it went on from, and whether it is better for it."""
    link = f"{facts.page}/gate?against={begins.run_id}"
    values = {"id": begins.run_id, "name": begins.run, "step": begins.step}
    if facts.against is None:
        message = N_(
            "Went on from run %(id)d, “%(name)s”, step %(step)d. What both held out was not measured the same way: compare them on "
            "a suite."
        )
        return item("beginning", Part.CONFIG, State.OPEN, link, message, **values)
    before, after = facts.against
    values |= {"before": f"{before:.4f}", "after": f"{after:.4f}"}
    if after > before:
        message = N_(
            "Went on from run %(id)d, “%(name)s”, step %(step)d, and the held-out loss rose from %(before)s to %(after)s: the earlier "
            "run is the better one."
        )
        return item("beginning", Part.CONFIG, State.WARN, link, message, **values)
    message = N_(
        "Went on from run %(id)d, “%(name)s”, step %(step)d; the held-out loss went from %(before)s to %(after)s."
    )
    return item("beginning", Part.CONFIG, State.PASS, link, message, **values)


def _preflight(facts: Facts) -> Item:
    link, record = f"{facts.page}#preflight", facts.run.preflight
    if record is None:
        message = N_("This run was started before there was a pre-flight.")
        return item("preflight", Part.CONFIG, State.OPEN, link, message)
    if record.accepted:
        message = N_("Started with warnings that were accepted by name: %(names)s.")
        return item("preflight", Part.CONFIG, State.WARN, link, message, names=", ".join(record.names))
    message = N_("Nothing stood against the start, so nothing had to be accepted.")
    return item("preflight", Part.CONFIG, State.PASS, link, message)


def _by_advice(facts: Facts, code: str, fields: tuple[str, ...], good: Item) -> Item:
    """The first piece of advice on these fields, else what is good."""
    found = next((facts.advice[name] for name in fields if name in facts.advice), None)
    if found is None:
        return good
    return Item(code, Part.CONFIG, State.WARN, found.sentence, f"{facts.page}{ANCHOR}")


def _pass(facts: Facts, code: str, message: str, **values: object) -> Item:
    return item(code, Part.CONFIG, State.PASS, f"{facts.page}{ANCHOR}", message, **values)


def _learning_rate(facts: Facts) -> Item:
    config = facts.run.config
    batch = config.samples_per_step
    message = N_("%(rate)s, within the rule for this method with a batch of %(batch)d.")
    return _pass(facts, "learning_rate", message, rate=display(config.learning_rate), batch=batch)


def _lora(facts: Facts) -> Item:
    config = facts.run.config
    if not config.use_peft:
        return _pass(facts, "lora", N_("Every weight is trained, without an adapter."))
    message = N_("Rank %(rank)d, alpha %(alpha)d, dropout %(dropout)s, on %(modules)s.")
    return _pass(
        facts,
        "lora",
        message,
        rank=config.lora_r,
        alpha=config.lora_alpha,
        dropout=display(config.lora_dropout),
        modules=display(config.lora_target_modules),
    )


def _epochs(facts: Facts) -> Item:
    config, result, point = facts.run.config, facts.run.result, facts.newest_point
    epochs = config.num_train_epochs
    if config.max_steps > 0:
        # The steps decide, and the epochs are what came of them.
        reached = point["epoch"] if point else None
        if result is None or reached is None:
            return _pass(facts, "epochs", N_("It ends after %(steps)d steps."), steps=config.max_steps)
        epochs = round(reached, 2)
    if result is None:
        return _pass(facts, "epochs", N_("%(epochs)s epochs."), epochs=display(epochs))
    message = N_("%(epochs)s epochs; %(steps)d of %(total)d steps were made, and step %(kept)d is kept.")
    values = {"steps": result.steps, "total": result.total_steps, "kept": result.adapter_step}
    return _pass(facts, "epochs", message, epochs=display(epochs), **values)


def _bf16(facts: Facts) -> Item:
    config, link = facts.run.config, f"{facts.page}{ANCHOR}"
    plan = facts.run.result.plan if facts.run.result else None
    if plan is None:
        return item(
            "bf16", Part.CONFIG, State.OPEN, link, N_("The precision is known once the run has ended.")
        )
    if "bfloat16" in plan.precision:
        return _pass(facts, "bf16", N_("Computed in %(precision)s."), precision=plan.precision)
    if config.bf16 in (True, "auto"):
        message = N_(
            "Computed in %(precision)s: the device has no units for bf16, or the method keeps weights in another form."
        )
        return _pass(facts, "bf16", message, precision=plan.precision)
    message = N_("bf16 is switched off; computed in %(precision)s.")
    return item("bf16", Part.CONFIG, State.WARN, link, message, precision=plan.precision)


def _clipping(facts: Facts) -> Item:
    norm = display(facts.run.config.max_grad_norm)
    if facts.run.config.max_grad_norm > _LOOSE:
        message = N_(
            "A norm of %(norm)s clips next to nothing: a bad batch throws the model far. 1.0 is usual."
        )
        link = facts.page + ANCHOR
        return item("clipping", Part.CONFIG, State.WARN, link, message, norm=norm)
    return _pass(facts, "clipping", N_("Gradients are clipped at a norm of %(norm)s."), norm=norm)
