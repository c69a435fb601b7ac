"""Of the settings: mistakes, and what lies so far outside its range that it is no matter of taste. What is a little outside gets
advice and no warning.
"""

from collections.abc import Iterator
from typing import Final

from app.recipes.advice import epochs_for, learning_rates_for
from app.recipes.config import TrainingConfig
from app.recipes.estimates import warm_up_steps
from app.recipes.fields import display
from app.runs.preflight.facts import Facts
from app.runs.preflight.items import Change, Item, Level, Name, ok, warning
from app.sentences import N_, Sentence

_ONLY_STEP: Final = N_("The only step is warm-up, so its learning rate is 0: nothing will be learnt.")
_ALL_WARM_UP: Final = N_(
    "All %(steps)d steps are warm-up, for which %(warm)d are set: the learning rate begins at 0 and gets no further than %(reached)s "
    "of %(rate)s."
)
_LESS_WARM_UP: Final = N_("Set warmup_steps to 0, so that warmup_ratio decides, or make more steps.")
# So many times beyond the range, and below it: slow is safe, and sometimes meant.
_FAR: Final = 3
_FAR_BELOW: Final = 10


def setting_items(facts: Facts) -> Iterator[Item]:
    """In the order of the list."""
    for field, message in facts.plan.errors.items():
        yield Item(Name.CONFIG, Level.ERROR, Sentence.of("%(reason)s", reason=message), field=field)
    config = facts.plan.config
    if config is None:
        return
    yield _learning_rate(config)
    if facts.plan.estimate is not None:
        yield from _warm_up(config, facts.plan.estimate.steps)
    yield _epochs(facts, config)


def evaluation_item(facts: Facts) -> Item:
    """That nothing judges it afterwards is said, and no warning: it can be judged at any time."""
    if facts.suites:
        message = N_("Judged afterwards on %(suites)s.")
        return ok(Name.EVALUATION, message, suites=", ".join(facts.suites))
    message = N_("No suite is chosen. The run can be judged at any time afterwards.")
    return ok(Name.EVALUATION, message)


def _learning_rate(config: TrainingConfig) -> Item:
    rates, rate = learning_rates_for(config), config.learning_rate
    values = {
        "rate": display(rate),
        "method": rates.method,
        "batch": rates.batch,
        "low": display(float(f"{rates.low:.1e}")),
        "high": display(float(f"{rates.high:.1e}")),
    }
    # The range for a batch of 16 counts as well: not everybody scales by the batch.
    if min(rates.low, rates.usual_low) / _FAR_BELOW <= rate <= max(rates.high, rates.usual_high) * _FAR:
        message = N_("%(rate)s; the rule for %(method)s with a batch of %(batch)d says %(low)s to %(high)s.")
        return ok(Name.LEARNING_RATE, message, None, **values)
    message = (
        N_(
            "%(rate)s is far above %(low)s to %(high)s, the rule for %(method)s with a batch of %(batch)d: the loss may explode."
        )
        if rate > rates.high
        else N_(
            "%(rate)s is far below %(low)s to %(high)s, the rule for %(method)s with a batch of %(batch)d: hardly anything will be "
            "learnt."
        )
    )
    change = Change("learning_rate", display(float(f"{rates.first:.1e}")))
    helps = N_("Take the learning rate that the rule begins with.")
    return warning(Name.LEARNING_RATE, Sentence.of(message, **values), helps=helps, change=change)


def _warm_up(config: TrainingConfig, steps: int) -> Iterator[Item]:
    """Where it takes every step, so that the learning rate is never reached. What leaves some of them is in order, and not said."""
    warm = warm_up_steps(config, steps)
    if warm < steps:
        return
    if steps == 1:
        sentence = Sentence(_ONLY_STEP)
    else:
        reached = display(float(f"{config.learning_rate * (steps - 1) / warm:.1e}"))
        rate = display(config.learning_rate)
        sentence = Sentence.of(_ALL_WARM_UP, steps=steps, warm=warm, reached=reached, rate=rate)
    yield warning(Name.WARM_UP, sentence, helps=_LESS_WARM_UP, change=Change("warmup_steps", "0"))


def _epochs(facts: Facts, config: TrainingConfig) -> Item:
    count, epochs = facts.version.train_count, facts.plan.epochs
    low, high = epochs_for(count)
    values = {"epochs": display(round(epochs, 2)), "count": count, "low": low, "high": high}
    stops = config.early_stopping_patience and facts.version.validation_count
    if epochs <= _FAR * high or stops or facts.plan.minutes:
        message = N_(
            "%(epochs)s passes over %(count)d conversations; for so many %(low)d to %(high)d are usual."
        )
        return ok(Name.EPOCHS, message, None, **values)
    message = N_(
        "%(epochs)s passes over %(count)d conversations, and nothing stops it early: they will be learnt by heart. For so many %(low)d "
        "to %(high)d are usual."
    )
    helps = N_("Make fewer epochs, or let it stop early.")
    change = Change("max_steps", "-1") if config.max_steps > 0 else Change("num_train_epochs", str(high))
    return warning(Name.EPOCHS, Sentence.of(message, **values), helps=helps, change=change)
