// Links letters and tokens of a turn: the token shown is marked in the message, pointing at the message shows the
// token under the letter, a click there stands on it. Only where the tokens spell the message; else it stays out.
(() => {
  const NAME = "token-letters";
  const passages = new WeakMap(); // line -> how its message lies in its tokens, or null
  let frame = 0;

  /**
   * @param {HTMLElement} line
   * @returns {Passage | null}
   */
  function passageOf(line) {
    if (!passages.has(line)) passages.set(line, read(line));
    return passages.get(line);
  }

  /**
   * @param {HTMLElement} line
   * @returns {Passage | null}
   */
  function read(line) {
    const letters = line.querySelector(".bubble__text")?.firstChild;
    if (!letters?.data?.trim()) return null;
    const runs = [
      ...line.querySelectorAll(":scope > .mask-line__tokens > .token-group > .token-run[data-turn]"),
    ];
    /** @type {number[]} */
    const starts = [];
    let spelled = "";
    for (const run of runs) {
      starts.push(spelled.length);
      spelled += run.textContent;
    }
    const trimmed = letters.data.trim();
    const place = spelled.indexOf(trimmed);
    if (place < 0) return null;
    // letters.data[i] is spelled[i + shift]
    return { letters, runs, starts, shift: place - letters.data.indexOf(trimmed) };
  }

  /** @param {Token} token */
  function mark(token) {
    CSS.highlights?.delete(NAME);
    const line = token.closest("li[data-link]");
    if (!CSS.highlights || !line || token.closest("[data-other]")) return;
    const passage = passageOf(line);
    if (!passage) return;
    const run = passage.runs.indexOf(token.parentElement);
    if (run < 0) return;
    let start = passage.starts[run] - passage.shift;
    for (let before = token.previousElementSibling; before; before = before.previousElementSibling) {
      start += before.textContent.length;
    }
    const end = Math.min(start + token.textContent.length, passage.letters.length);
    if (end <= Math.max(start, 0)) return;
    const range = new Range();
    range.setStart(passage.letters, Math.max(start, 0));
    range.setEnd(passage.letters, end);
    CSS.highlights.set(NAME, new Highlight(range));
  }

  /** @param {PointerEvent} event */
  function caret(event) {
    const found = document.caretPositionFromPoint?.(event.clientX, event.clientY);
    if (found) return { node: found.offsetNode, offset: found.offset };
    const range = document.caretRangeFromPoint?.(event.clientX, event.clientY);
    return range && { node: range.startContainer, offset: range.startOffset };
  }

  /** @param {PointerEvent & { target: any }} event */
  function tokenUnder(event) {
    const line = event.target.closest?.(".bubble__text")?.closest("li[data-link]");
    const passage = line ? passageOf(line) : null;
    const found = passage && caret(event);
    if (!passage || !found || found.node !== passage.letters) return null;
    const place = found.offset + passage.shift;
    const run = passage.starts.findLastIndex((start) => start <= place);
    let at = passage.starts[run];
    for (const token of passage.runs[run]?.children ?? []) {
      at += token.textContent.length;
      if (place < at) return token;
    }
    return null;
  }

  /**
   * @param {PointerEvent & { target: any }} event
   * @param {boolean} focus
   */
  function want(event, focus) {
    const token = tokenUnder(event);
    if (token) document.dispatchEvent(new CustomEvent("token:wanted", { detail: { token, focus } }));
  }

  /** @type {Token | null} */
  let pointed = null;
  document.addEventListener("token:shown", (event) => {
    pointed?.classList.remove("is-pointed");
    /** @type {Token} */
    const token = event.detail;
    pointed = token;
    token.classList.add("is-pointed");
    mark(token);
  });
  document.addEventListener("pointermove", (event) => {
    cancelAnimationFrame(frame);
    if (event.target.closest?.(".bubble__text")) frame = requestAnimationFrame(() => want(event, false));
  });
  document.addEventListener("click", (event) => {
    if (getSelection()?.isCollapsed ?? true) want(event, true);
  });
})();
