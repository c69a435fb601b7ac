// The events of a job after a sequence number, each given to the handler of its kind; "end" comes last. They are streamed,
// and the browser connects again by itself, naming the last event it saw. Where the server gives no stream (somebody who
// has too many open) they are asked for now and then instead. Returns what ends it.
window.jobEvents = (streamUrl, listUrl, after, handlers) => {
  const ASK_EVERY_MS = 3000;
  const FINAL = ["succeeded", "failed", "cancelled"];
  let seq = after;
  /** @type {Timer} */
  let timer;
  const source = new EventSource(`${streamUrl}?after=${after}`);

  function close() {
    source.close();
    clearTimeout(timer);
    timer = undefined;
  }

  /** @param {number} milliseconds */
  function askLater(milliseconds) {
    timer = setTimeout(ask, milliseconds);
  }

  async function ask() {
    const asked = timer;
    /** @type {{ events: JobEvent[] }} */
    let found = { events: [] };
    try {
      const response = await fetch(`${listUrl}?after=${seq}`);
      // The page leads to signing in, and back.
      if (response.status === 401) return location.reload();
      if (response.status === 404) {
        close();
        handlers.gone?.({});
        return;
      }
      if (response.ok) found = await response.json();
    } catch {
      // The server is away for a moment.
    }
    if (timer !== asked) return;
    for (const event of found.events) {
      seq = event.seq;
      handlers[event.kind]?.(event);
      if (event.kind === "state" && FINAL.includes(event.state)) {
        close();
        handlers.end?.({});
        return;
      }
    }
    askLater(found.events.length ? 0 : ASK_EVERY_MS);
  }

  for (const [kind, act] of Object.entries(handlers)) {
    source.addEventListener(kind, (event) => {
      if (Number(event.lastEventId)) seq = Number(event.lastEventId);
      act(JSON.parse(event.data));
    });
  }
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && timer === undefined) askLater(0);
  });
  return close;
};
