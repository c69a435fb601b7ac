// The tokens of a mask preview: shows the one pointed at or stood on, walks them by keyboard, jumps to one.
// A run carries what its tokens share (data-start, data-role, data-turn); a token only its id or ids.
(() => {
  const inspector = document.getElementById("token-inspector");
  const words = inspector.dataset;
  const announcer = inspector.querySelector("[data-announcer]");
  const fields = new Map(
    [...inspector.querySelectorAll("[data-field]")].map((field) => [field.dataset.field, field]),
  );
  const known = new WeakMap(); // list of lines -> its runs in order
  const RUNS = ":scope > li > .mask-line__tokens > .token-group > .token-run";
  const INVISIBLE = /[\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g;
  const TIP = ["index", "id", "text", "label", "role"];
  /** @type {Token | null} */
  let current = null; // where the keyboard stands
  let place = 0;
  let comesBack = false; // the focus belongs on the token again when the result is swapped

  const lines = () => document.getElementById("mask-lines");
  /**
   * @param {Element | null} target
   * @returns {Token | null}
   */
  const tokenOf = (target) => target?.closest?.(".token-run > span") ?? null;
  /** @param {Token} token */
  const size = (token) => Number(token.dataset.n ?? 1);

  /** @returns {Run[]} */
  function runs() {
    const list = lines();
    if (!list) return [];
    if (!known.has(list)) known.set(list, [...list.querySelectorAll(RUNS)]);
    return known.get(list);
  }

  /** @param {Token} token */
  function indexOf(token) {
    let index = Number(token.parentElement.dataset.start);
    for (let before = token.previousElementSibling; before; before = before.previousElementSibling) {
      index += size(before);
    }
    return index;
  }

  /** @param {number} index */
  function runPosition(index) {
    const all = runs();
    let [low, high] = [0, all.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (Number(all[middle].dataset.start) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * @param {number} index
   * @returns {Token | null}
   */
  function tokenAt(index) {
    const run = runs()[runPosition(index)];
    let at = Number(run?.dataset.start);
    for (const token of run?.children ?? []) {
      at += size(token);
      if (index < at) return token;
    }
    return null;
  }

  /** @param {string} text */
  function literal(text) {
    return JSON.stringify(text).replace(
      INVISIBLE,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  }

  /**
   * @param {Token} token
   * @returns {Record<string, string>}
   */
  function describe(token) {
    const run = token.parentElement;
    const ids = (token.dataset.id ?? "").split(" ");
    const first = indexOf(token);
    const { role = "" } = run.dataset;
    const state =
      ["trained", "cut"].find((name) => run.classList.contains(`token-run--${name}`)) ?? "skipped";
    const notes = [words[state]];
    if (token.classList.contains("token--special")) notes.push(words.special);
    if (ids.length > 1) notes.push(words.split.replace("{n}", ids.length));
    if (token.dataset.begun) notes.push(words.begun);
    if (run.classList.contains("token-run--only-here")) notes.push(words.onlyHere);
    if (run.classList.contains("token-run--only-there")) notes.push(words.onlyThere);
    if (token.closest("[data-other]")) notes.unshift("B");
    return {
      index: ids.length > 1 ? `${first}–${first + ids.length - 1}` : `${first}`,
      id: ids.join(" · "),
      text: literal(token.dataset.begun ?? token.textContent),
      // what is cut off is in no batch and has no label
      label: { trained: ids.join(" · "), cut: "—" }[state] ?? "−100",
      role: words[`role${role.charAt(0).toUpperCase()}${role.slice(1)}`],
      turn: run.dataset.turn === undefined ? "—" : `${Number(run.dataset.turn) + 1}`,
      note: notes.join(" · "),
      state: words[state],
    };
  }

  /** @param {Token} token */
  function show(token) {
    const found = describe(token);
    for (const [name, field] of fields) field.textContent = found[name];
    token.title = TIP.map(
      (name) => `${fields.get(name).previousElementSibling.textContent}: ${found[name]}`,
    ).join("\n");
    inspector.hidden = false;
    document.dispatchEvent(new CustomEvent("token:shown", { detail: token }));
    return found;
  }

  /** @param {Token} token */
  function stand(token) {
    if (current !== token) current?.removeAttribute("tabindex");
    current = token;
    current.tabIndex = 0;
    place = indexOf(token);
  }

  /** @param {Token | null | undefined} token */
  function go(token, { middle = false } = {}) {
    if (!token) return;
    stand(token);
    token.focus({ preventScroll: true });
    bring(token, middle ? "center" : "nearest");
  }

  // Into view. In a long dialogue lines get their real height only as they come near the screen, which moves
  // the token away again: so once more, for some frames.
  /**
   * @param {Token} token
   * @param {ScrollLogicalPosition} block
   */
  function bring(token, block, frames = 4) {
    token.scrollIntoView({ block });
    if (!frames || !lines().classList.contains("mask-lines--long")) return;
    requestAnimationFrame(() => {
      if (token === current) bring(token, block, frames - 1);
    });
  }

  // -- walking -----------------------------------------------------------------------------------------------

  /**
   * @param {Token} token
   * @param {number} by
   * @returns {Token | null}
   */
  function step(token, by) {
    const sibling = by > 0 ? token.nextElementSibling : token.previousElementSibling;
    if (sibling) return sibling;
    const run = runs()[runs().indexOf(token.parentElement) + by];
    return (by > 0 ? run?.firstElementChild : run?.lastElementChild) ?? null;
  }

  // The nearest token on the visual line above or below.
  /**
   * @param {Token} token
   * @param {number} by
   */
  function vertical(token, by) {
    const from = token.getBoundingClientRect();
    const middle = from.left + from.width / 2;
    let line = NaN;
    let nearest = Infinity;
    /** @type {Token | null} */
    let best = null;
    for (let next = step(token, by), steps = 0; next && steps < 600; next = step(next, by), steps += 1) {
      const box = next.getClientRects()[0] ?? next.getBoundingClientRect();
      if (Math.abs(box.top - from.top) < 6) continue;
      if (Number.isNaN(line)) line = box.top;
      if (Math.abs(box.top - line) > 6) break;
      const distance = Math.abs(box.left + box.width / 2 - middle);
      if (distance < nearest) [best, nearest] = [next, distance];
    }
    return best;
  }

  /** @param {Run} run */
  const isTrained = (run) => run.classList.contains("token-run--trained");

  /**
   * @param {Token} token
   * @param {number} by
   */
  function border(token, by) {
    const all = runs();
    const here = all.indexOf(token.parentElement);
    for (let at = here + by; at >= 0 && at < all.length; at += by) {
      if (isTrained(all[at]) !== isTrained(all[here])) {
        return by > 0 ? all[at].firstElementChild : all[at].lastElementChild;
      }
    }
    return null;
  }

  /**
   * @param {Token} token
   * @param {boolean} last
   * @returns {Token}
   */
  function ends(token, last) {
    const found = token.closest(".mask-line__tokens").querySelectorAll(":scope > .token-group > .token-run");
    return last ? found[found.length - 1].lastElementChild : found[0].firstElementChild;
  }

  /**
   * @param {Token} token
   * @param {number} by
   * @returns {Token | null}
   */
  function turn(token, by) {
    let line = token.closest("li");
    do {
      line = by > 0 ? line.nextElementSibling : line.previousElementSibling;
    } while (line && !line.querySelector(".token-run"));
    return line?.querySelector(".token-run")?.firstElementChild ?? null;
  }

  /** @type {Record<string, (token: Token, event: KeyboardEvent) => Token | null>} */
  const KEYS = {
    ArrowRight: (token, { shiftKey }) => (shiftKey ? border(token, 1) : step(token, 1)),
    ArrowLeft: (token, { shiftKey }) => (shiftKey ? border(token, -1) : step(token, -1)),
    ArrowDown: (token) => vertical(token, 1),
    ArrowUp: (token) => vertical(token, -1),
    Home: (token, { ctrlKey }) => (ctrlKey ? runs()[0].firstElementChild : ends(token, false)),
    End: (token, { ctrlKey }) => (ctrlKey ? (runs().at(-1)?.lastElementChild ?? null) : ends(token, true)),
    PageDown: (token) => turn(token, 1),
    PageUp: (token) => turn(token, -1),
  };

  // The flag of the turn that one stands in.
  /** @param {Token} token */
  function flip(token) {
    const button = document.getElementById(`flag-${token.parentElement.dataset.turn}`);
    button?.click();
  }

  document.addEventListener("keydown", (event) => {
    const token = tokenOf(event.target);
    const move = KEYS[event.key];
    if (!token || event.altKey || event.metaKey || token.closest("[data-other]")) return;
    if (event.key === "t" && !event.ctrlKey) flip(token);
    if (!move) return;
    event.preventDefault();
    go(move(token, event));
  });

  // -- pointing and jumping -----------------------------------------------------------------------------------

  document.addEventListener("pointerover", (event) => {
    const token = tokenOf(event.target);
    if (token) show(token);
    else if (current && !event.target.closest?.(".bubble__text")) show(current);
  });

  document.addEventListener("focusin", (event) => {
    const token = tokenOf(event.target);
    if (!token) return;
    const found = show(token);
    announcer.textContent = words.announce.replace(
      /\{(\w+)\}/g,
      (/** @type {string} */ _whole, /** @type {string} */ name) => found[name],
    );
  });

  function nextDifference() {
    const all = runs();
    /** @param {Run} run */
    const differs = (run) => /token-run--only-/.test(run.className);
    const here = runPosition(place);
    const next = all.find((run, at) => at > here && differs(run)) ?? all.find(differs);
    go(next?.firstElementChild, { middle: true });
  }

  document.addEventListener("click", (event) => {
    const token = tokenOf(event.target);
    const jump = event.target.closest?.("[data-go-token]");
    const map = event.target.closest?.("[data-map]");
    if (token && !token.closest("[data-other]") && (getSelection()?.isCollapsed ?? true)) go(token);
    else if (event.target.closest?.("[data-next-difference]")) nextDifference();
    else if (jump && tokenAt(Number(jump.dataset.goToken))) {
      event.preventDefault();
      go(tokenAt(Number(jump.dataset.goToken)), { middle: true });
    } else if (map) {
      const box = map.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      go(tokenAt(Math.floor(share * map.viewBox.baseVal.width)), { middle: true });
    }
  });

  document.addEventListener("token:wanted", (event) => {
    if (event.detail.focus) go(event.detail.token);
    else show(event.detail.token);
  });

  // -- a fresh page or a fresh result -------------------------------------------------------------------------

  /** @param {number} [wanted] */
  function begin(wanted) {
    current = null;
    const token = tokenAt(wanted ?? place) ?? tokenAt(0);
    const back = comesBack;
    comesBack = false;
    inspector.hidden = !token;
    if (!token) return;
    // Unless a quick hand has put the focus elsewhere meanwhile.
    if (back && document.activeElement === document.body) go(token);
    else if (wanted !== undefined && tokenAt(wanted)) go(token, { middle: true });
    else stand(token);
    show(token);
  }

  // Within the swap itself: htmx settles a moment later, and by then a quick hand has gone on.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target?.id === "mask-preview")
      comesBack = lines()?.contains(tokenOf(document.activeElement)) ?? false;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "mask-preview") begin();
  });

  const wanted = lines()?.dataset.token;
  begin(wanted === undefined ? undefined : Number(wanted));
})();
