/* Chat with base and tuned: one message goes to both, each answer streams into its own column and history. */
(() => {
  const form = document.getElementById("chat");
  if (!form) return;

  const text = form.dataset;
  /** @type {Side[]} */
  const sides = ["base", "tuned"];
  const STORED = `chat-${text.owner}`;
  /** @type {Record<Side, Said[]>} */
  const histories = { base: [], tuned: [] };
  /** @type {Partial<Record<Side, { job?: number, words: string }>>} */
  const pending = {}; // side -> {job, words}: asked, and not answered yet; without a job it did not reach the server
  const running = new Map(); // side -> {job, close}
  const sendButton = document.getElementById("chat-send");
  const stopButton = document.getElementById("chat-stop");
  const message = form.elements.namedItem("message");
  const csrf = JSON.parse(document.body.getAttribute("hx-headers") ?? "{}")["X-CSRF-Token"];

  /** @param {Side} side */
  const log = (side) => form.querySelector(`[data-log="${side}"]`);
  /**
   * @param {Side} side
   * @param {string | undefined} words
   */
  const status = (side, words) => {
    form.querySelector(`[data-status="${side}"]`).textContent = words;
  };

  // The look of bubbles is the server's; only the words are filled in here, as text.
  /**
   * @param {Side} side
   * @param {string} template
   * @param {string} words
   * @param {string} place
   */
  function add(side, template, words, place) {
    const item = document.getElementById(template).content.firstElementChild.cloneNode(true);
    item.querySelector(place).textContent = words;
    const list = log(side);
    list.append(item);
    list.scrollTop = list.scrollHeight;
    return item;
  }

  /**
   * @param {Side} side
   * @param {string} role
   * @param {string} words
   */
  function bubble(side, role, words) {
    const item = add(side, `chat-${role}`, words, ".bubble__text");
    return { item, article: item.querySelector(".bubble"), body: item.querySelector(".bubble__text") };
  }

  /**
   * @param {string} path
   * @param {object} [body]
   */
  function post(path, body) {
    return fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: body === undefined ? undefined : JSON.stringify(body),
    }).then(async (response) => {
      // The page leads to signing in, and back, where the question waits.
      if (response.status === 401) location.reload();
      const body = await response.json();
      // What the server says is a sentence for people; what a library says is not.
      if (!response.ok) throw Object.assign(new Error(body.detail), { told: body.detail });
      return body;
    });
  }

  // This tab keeps the dialogue, and which answers it waits for, so that a page loaded again goes on with them.
  function keep() {
    const run = form.elements.namedItem("run_id").value;
    sessionStorage.setItem(STORED, JSON.stringify({ run, histories, pending }));
  }

  function setBusy() {
    const busy = running.size > 0;
    sendButton.disabled = busy;
    stopButton.hidden = !busy;
  }

  /**
   * @param {Side} side
   * @param {string | undefined} words
   */
  function finish(side, words) {
    const open = running.get(side);
    open?.close?.();
    running.delete(side);
    delete pending[side];
    keep();
    status(side, words);
    setBusy();
  }

  // A question without an answer stays, with the reason and the offer to ask it again.
  /**
   * @param {Side} side
   * @param {string} words
   * @param {Said[]} history
   * @param {Bubble} shown
   * @param {string} reason
   */
  function fail(side, words, history, shown, reason) {
    const asked = pending[side];
    if (!shown.body.textContent) shown.item.remove();
    if (history !== histories[side]) return finish(side, "");
    const notice = add(side, "chat-failed", reason, "[data-reason]");
    notice.querySelector("[data-again]").addEventListener("click", () => {
      if (running.has(side)) return;
      notice.remove();
      shown.item.remove();
      answer(side, words);
      setBusy();
    });
    finish(side, "");
    if (asked) pending[side] = asked;
    keep();
  }

  // `history` is the dialogue that the question belongs to; by the time of the answer another may have begun.
  /**
   * @param {Side} side
   * @param {number} job
   * @param {string} words
   * @param {Bubble} shown
   * @param {Said[]} history
   */
  function follow(side, job, words, shown, history) {
    let said = "";
    let note = "";
    /** @type {string | null} */
    let reason = null;
    /** @type {Record<string, (event: any) => void>} */
    const handlers = {};
    /**
     * @param {string} kind
     * @param {(event: any) => void} act
     */
    const on = (kind, act) => {
      handlers[kind] = act;
    };
    on("delta", (event) => {
      said += event.text;
      shown.body.textContent = said;
      shown.article.classList.add("bubble--streaming");
      log(side).scrollTop = log(side).scrollHeight;
      status(side, "");
    });
    on("phase", (event) => {
      if (event.phase === "loading_model") status(side, text.textLoading);
    });
    on("done", (event) => {
      if (event.finish_reason === "length") note = text.textCut;
    });
    on("state", (state) => {
      // Another worker begins anew, from the first word.
      if (state.state === "running") {
        said = "";
        shown.body.textContent = "";
        status(side, text.textTurn);
      }
      if (state.state === "cancelled") note = text.textStopped;
      if (state.state === "failed") reason = state.error || "";
    });
    on("end", () => {
      shown.article.classList.remove("bubble--streaming");
      if (said && reason === null) {
        history.push({ role: "user", content: words }, { role: "assistant", content: said });
        return finish(side, note);
      }
      if (reason !== null) return fail(side, words, history, shown, reason);
      shown.item.remove();
      return finish(side, note);
    });
    // Chats end by themselves after a while; this one is no longer there.
    on("gone", () => {
      shown.item.remove();
      finish(side, "");
    });
    const events = `/api/v1/jobs/${job}/events`;
    running.set(side, { job, close: jobEvents(events, `${events}/list`, 0, handlers) });
  }

  /**
   * @param {Side} side
   * @param {string} words
   */
  function answer(side, words) {
    const system = form.elements.namedItem("system").value.trim();
    const history = histories[side];
    const shown = bubble(side, "assistant", "");
    status(side, text.textWaiting);
    running.set(side, {});
    const dialogue = [...history, { role: "user", content: words }];
    pending[side] = { words };
    keep();
    post("/api/v1/playground/answers", {
      run_id: Number(form.elements.namedItem("run_id").value),
      messages: system ? [{ role: "system", content: system }, ...dialogue] : dialogue,
      max_new_tokens: Number(form.elements.namedItem("max_new_tokens").value),
      temperature: Number(form.elements.namedItem("temperature").value),
      sides: [side],
    }).then(
      (job) => {
        if (history === histories[side]) pending[side] = { job: job.id, words };
        keep();
        follow(side, job.id, words, shown, history);
        if (history !== histories[side]) stop(); // a new dialogue began before there was anything to stop
      },
      (error) => {
        fail(side, words, history, shown, error.told ?? text.textUnreachable);
      },
    );
  }

  /**
   * @param {Side} side
   * @param {string} words
   */
  function ask(side, words) {
    bubble(side, "user", words);
    answer(side, words);
  }

  function reset() {
    stop();
    for (const side of sides) {
      histories[side] = [];
      delete pending[side];
      log(side).replaceChildren();
      status(side, "");
    }
    keep();
    message.focus();
  }

  function restore() {
    const kept = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
    if (!kept || kept.run !== form.elements.namedItem("run_id").value) return;
    for (const side of sides) {
      histories[side] = kept.histories[side];
      for (const said of histories[side]) bubble(side, said.role, said.content);
      const asked = kept.pending[side];
      if (!asked) continue;
      pending[side] = asked;
      bubble(side, "user", asked.words);
      const shown = bubble(side, "assistant", "");
      if (asked.job === undefined) {
        fail(side, asked.words, histories[side], shown, text.textUnsent);
        continue;
      }
      status(side, text.textWaiting);
      follow(side, asked.job, asked.words, shown, histories[side]);
    }
    setBusy();
  }

  function stop() {
    for (const { job } of running.values()) if (job) post(`/api/v1/jobs/${job}/stop`).catch(() => {});
  }

  form.addEventListener("submit", (/** @type {PageEvent} */ event) => {
    event.preventDefault();
    const words = message.value.trim();
    if (!words || running.size) return;
    message.value = "";
    for (const side of sides) ask(side, words);
    setBusy();
  });
  message.addEventListener("keydown", (/** @type {PageEvent} */ event) => {
    // Enter also ends a word in a Chinese input method; that one must not send.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.elements.namedItem("run_id").addEventListener("change", reset);
  document.getElementById("chat-reset").addEventListener("click", reset);
  stopButton.addEventListener("click", stop);
  restore();
})();
