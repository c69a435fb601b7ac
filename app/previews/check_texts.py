"""The checks of app.masking in words: a line for each, and what it means for the help page."""

from typing import Final

from app.core.i18n import N_

# In the order of app.masking.CHECK_NAMES.
CHECK_LABELS: Final = {
    "trained_text": N_("Trained tokens spell exactly the chosen turns"),
    "people_skipped": N_("System, user and tool text is skipped"),
    "template_skipped": N_("Headers and separators are skipped"),
    "end_of_turn": N_("Each chosen turn's end-of-turn token is trained"),
    "model_ids": N_("Token ids equal the model's own tokenization"),
    "control_tokens": N_("No control token comes from message text"),
    "cuts_reported": N_("Nothing was cut without being reported"),
    "trains_something": N_("Something is trained"),
}

CHECK_MEANINGS: Final = {
    "trained_text": N_(
        "The trained tokens, put together, are the chosen turns with their end of turn: not a letter more or "
        "less. Red means that a border is off; report it, and do not train with this template."
    ),
    "people_skipped": N_(
        "The model must not learn to speak for the customer, a tool or the system prompt. Turns that you flagged "
        "yourself are allowed and named."
    ),
    "template_skipped": N_(
        "Role names, markers and line breaks between turns come from the software, not from the model. Training "
        "them wastes effort and can teach the model to write headers into its answers."
    ),
    "end_of_turn": N_(
        "If the last token of an answer is not trained, the model does not learn to stop. Some templates write no "
        "such token after every turn; one sample per assistant turn or another template helps."
    ),
    "model_ids": N_(
        "The ids are compared with what the model's own tokenizer makes of the same conversation. A difference "
        "would mean training on text the model never sees later."
    ),
    "control_tokens": N_(
        "A customer can type <|im_end|> too. Such text is kept as ordinary letters, so that no message can end "
        "a turn or begin one of its own. The check names the messages that tried."
    ),
    "cuts_reported": N_(
        "If a sample is longer than the limit, its end is cut off. The check counts what was lost, and says so "
        "when a turn had to be cut in the middle."
    ),
    "trains_something": N_(
        "A sample without any trained token teaches nothing and is left out. Look at the flags, the strategy and "
        "the length limit."
    ),
}
