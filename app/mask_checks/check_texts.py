"""The checks of app.masking in words: a line for each, and what it means for the help page."""

from typing import Final

from app.sentences import N_

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
    "carried": N_("The template writes everything that trained turns hold"),
}
# In a report a conversation without an exact mask is listed beside the failed checks.
REPORT_LABELS: Final = {**CHECK_LABELS, "refused": N_("An exact mask exists")}

CHECK_MEANINGS: Final = {
    "trained_text": N_(
        "The trained tokens, put together, are the chosen turns with their end of turn: not a letter more or "
        "less."
    ),
    "people_skipped": N_(
        "The model must not learn to speak for the customer, a tool or the system prompt. Turns that a flag "
        "or the strategy chooses all the same are allowed and named."
    ),
    "template_skipped": N_(
        "Role names, markers and line breaks between turns come from the software, not from the model. Training "
        "them wastes effort and can teach the model to write headers into its answers. Under “Everything” they are "
        "trained on purpose, and the check says so."
    ),
    "end_of_turn": N_(
        "If the last token of an answer is not trained, the model does not learn to stop: it goes on, and often "
        "speaks for the customer next. Some templates write no such token after every turn."
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
    "trains_something": N_("A sample without any trained token teaches nothing. It is left out and counted."),
    "carried": N_(
        "Some templates know no tool calls, no thinking or no names, and leave them out without a word: an answer that "
        "only calls a tool would teach nothing but to stop. Every name, argument and word of a trained turn is planted "
        "with a mark and looked for in what the template writes, and so are the tools that it calls. Ids of calls only "
        "join messages and are not looked for."
    ),
}

# What to do when one is red.
CHECK_REMEDIES: Final = {
    "trained_text": N_(
        "A border is off, which is a fault of the software or the template, not of your data: do not train. Copy "
        "the sample as JSON and report it; one sample per assistant turn or another base model may do meanwhile."
    ),
    "people_skipped": N_(
        "A fault of the software, not of your data: do not train. Copy the sample as JSON and report it."
    ),
    "template_skipped": N_(
        "A fault of the software, not of your data: do not train. Copy the sample as JSON and report it."
    ),
    "end_of_turn": N_(
        "Take the chat version of the model, or one sample per assistant turn, or a template that ends every "
        "turn. Editing conversations does not help: the template is at fault."
    ),
    "model_ids": N_(
        "Prepare the base model again, for its tokenizer may have changed. If it stays red, report the model."
    ),
    "control_tokens": N_(
        "Do not train: a customer's words would steer the model. Report the model, and correct the message that "
        "is named until then."
    ),
    "cuts_reported": N_(
        "A fault of the software: report it. Until then raise the length limit, or use sliding windows."
    ),
    "trains_something": N_("Look at the flags of the turns, at the strategy and at the length limit."),
    "carried": N_(
        "Take a base model whose template writes it; use one sample per assistant turn where only earlier turns lose "
        "their thinking; set “Thinking” to “Context only” to go without it; or leave the turn untrained."
    ),
}
