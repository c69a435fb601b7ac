/* Chat with base and tuned: one message goes to both, each answer streams into its own column and history. */
(() => {
  const form = document.getElementById("chat");
  if (!form) return;

  const text = form.dataset;
  const sides = ["base", "tuned"];
  const histories = { base: [], tuned: [] };
  const running = new Map(); // side -> {job, close}
  const sendButton = document.getElementById("chat-send");
  const stopButton = document.getElementById("chat-stop");
  const message = form.elements.namedItem("message");
  const csrf = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];

  const log = (side) => form.querySelector(`[data-log="${side}"]`);
  const status = (side, words) => {
    form.querySelector(`[data-status="${side}"]`).textContent = words;
  };

  function bubble(side, role, name, words) {
    const item = document.createElement("li");
    item.className = `bubble bubble--${role}`;
    const head = document.createElement("div");
    head.className = "bubble__meta";
    head.textContent = name;
    const body = document.createElement("p");
    body.className = "bubble__text";
    body.textContent = words;
    item.append(head, body);
    log(side).append(item);
    item.scrollIntoView({ block: "nearest" });
    return { item, body };
  }

  function post(path, body) {
    return fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: body === undefined ? undefined : JSON.stringify(body),
    }).then(async (response) => {
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.detail);
      return answer;
    });
  }

  function setBusy() {
    const busy = running.size > 0;
    sendButton.disabled = busy;
    stopButton.hidden = !busy;
  }

  function finish(side, words) {
    const open = running.get(side);
    open?.close?.();
    running.delete(side);
    status(side, words);
    setBusy();
  }

  // `history` is the dialogue that the question belongs to; by the time of the answer another may have begun.
  function follow(side, job, shown, history) {
    let answer = "";
    let note = "";
    const handlers = {};
    const on = (kind, act) => {
      handlers[kind] = act;
    };
    on("delta", (event) => {
      answer += event.text;
      shown.body.textContent = answer;
      shown.item.classList.add("bubble--streaming");
      status(side, "");
    });
    on("done", (event) => {
      if (event.finish_reason === "length") note = text.textCut;
    });
    on("state", (state) => {
      if (state.state === "running") status(side, text.textLoading);
      if (state.state === "cancelled") note = text.textStopped;
      if (state.state === "failed") note = `${text.textFailed} ${state.error || ""}`;
    });
    on("end", () => {
      shown.item.classList.remove("bubble--streaming");
      if (answer) history.push({ role: "assistant", content: answer });
      else {
        history.pop();
        shown.item.remove();
      }
      finish(side, note);
    });
    const events = `/api/v1/jobs/${job}/events`;
    running.set(side, { job, close: jobEvents(events, `${events}/list`, 0, handlers) });
  }

  function ask(side, words) {
    const system = form.elements.namedItem("system").value.trim();
    const history = histories[side];
    history.push({ role: "user", content: words });
    bubble(side, "user", text.textUser, words);
    const shown = bubble(side, "assistant", side === "base" ? text.textBase : text.textTuned, "");
    status(side, text.textWaiting);
    running.set(side, {});
    const messages = system ? [{ role: "system", content: system }, ...history] : history;
    post("/api/v1/playground/answers", {
      run_id: Number(form.elements.namedItem("run_id").value),
      messages,
      max_new_tokens: Number(form.elements.namedItem("max_new_tokens").value),
      temperature: Number(form.elements.namedItem("temperature").value),
      sides: [side],
    }).then(
      (job) => {
        follow(side, job.id, shown, history);
        if (history !== histories[side]) stop(); // a new dialogue began before there was anything to stop
      },
      (error) => {
        history.pop();
        shown.item.remove();
        message.value = message.value || words;
        finish(side, `${text.textFailed} ${error.message}`);
      },
    );
  }

  function reset() {
    stop();
    for (const side of sides) {
      histories[side] = [];
      log(side).replaceChildren();
      status(side, "");
    }
    message.focus();
  }

  function stop() {
    for (const { job } of running.values()) if (job) post(`/api/v1/jobs/${job}/stop`).catch(() => {});
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = message.value.trim();
    if (!words || running.size) return;
    message.value = "";
    for (const side of sides) ask(side, words);
    setBusy();
  });
  message.addEventListener("keydown", (event) => {
    // Enter also ends a word in a Chinese input method; that one must not send.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.elements.namedItem("run_id").addEventListener("change", reset);
  document.getElementById("chat-reset").addEventListener("click", reset);
  stopButton.addEventListener("click", stop);
})();
