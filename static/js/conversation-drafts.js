// Text that is typed and not yet saved, kept in this tab so that nothing typed is lost by a conflict, a lost
// connection or a closed page. A draft knows the stored text it started from, and goes back only onto that.
(() => {
  const root = document.getElementById("conversation");
  if (!root) return;
  const prefix = `draft:${root.dataset.base}:`;
  const template = document.getElementById("lost-draft");
  const shelf = document.getElementById("lost-drafts");

  /** @param {Turn} turn */
  const keyOf = (turn) => `${prefix}${turn}`;

  /**
   * @param {Turn} turn
   * @param {string} base
   * @param {string} text
   */
  function keep(turn, base, text) {
    sessionStorage.setItem(keyOf(turn), JSON.stringify({ base, text }));
  }

  /** @param {Turn} turn */
  function drop(turn) {
    sessionStorage.removeItem(keyOf(turn));
  }

  function all() {
    return Object.keys(sessionStorage)
      .filter((key) => key.startsWith(prefix))
      .map((key) => ({ turn: key.slice(prefix.length), ...JSON.parse(sessionStorage.getItem(key) ?? "{}") }));
  }

  /** @param {{ turn: Turn, text: string }} draft */
  function showLost({ turn, text }) {
    const callout = template.content.firstElementChild.cloneNode(true);
    callout.querySelector("textarea").value = text;
    callout.querySelector("[data-drop-draft]").addEventListener("click", () => {
      drop(turn);
      callout.remove();
    });
    shelf.append(callout);
  }

  // Puts drafts back into the fields they belong to; returns those fields. What has no field is shown apart.
  /** @param {Field[]} fields */
  function restore(fields) {
    shelf.replaceChildren();
    /** @type {Field[]} */
    const filled = [];
    for (const draft of all()) {
      drop(draft.turn);
      const own = fields[Number(draft.turn)];
      if (own?.defaultValue === draft.text) continue; // it was saved after all
      const candidates = fields.filter(
        (field) => field.defaultValue === draft.base && !filled.includes(field),
      );
      const field = candidates.includes(own) ? own : candidates.length === 1 ? candidates[0] : null;
      if (field) {
        field.value = draft.text;
        keep(fields.indexOf(field), draft.base, draft.text);
        filled.push(field);
      } else {
        keep(`lost-${draft.turn}`, draft.base, draft.text);
        showLost({ turn: `lost-${draft.turn}`, text: draft.text });
      }
    }
    return filled;
  }

  window.conversationDrafts = { keep, drop, restore };
})();
