// Says what went wrong with an htmx request: the server's own sentence where it sent one, else a text from <body data-error-…>.
// A 422 or 409 that brings HTML is a form with its errors, or both sides of a conflict; it is swapped in like any answer.
(() => {
  const texts = document.body.dataset;

  /** @param {string | undefined} message */
  function toast(message) {
    document.dispatchEvent(new CustomEvent("toast", { detail: { message, kind: "error" } }));
  }

  /** @param {XMLHttpRequest} xhr */
  function type(xhr) {
    return xhr.getResponseHeader("Content-Type") ?? "";
  }

  /** @param {XMLHttpRequest} xhr */
  function problem(xhr) {
    if (!type(xhr).includes("json")) return null;
    try {
      const { detail, title } = JSON.parse(xhr.responseText);
      return typeof detail === "string" ? detail : title;
    } catch {
      return null;
    }
  }

  /** @param {number} status */
  function fallback(status) {
    if (status === 401) return texts.errorSignedOut;
    if (status === 403) return texts.errorRefused;
    return texts.errorServer;
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if ([409, 422].includes(xhr.status) && type(xhr).includes("text/html")) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  // What a page asks by itself, again and again, is told once until something succeeds; what a person did is told each time.
  /** @type {Set<string | undefined>} */
  const told = new Set();
  /**
   * @param {{ requestConfig: { triggeringEvent?: Event } }} detail
   * @param {string | undefined} message
   */
  function tell(detail, message) {
    if (!detail.requestConfig.triggeringEvent) {
      if (told.has(message)) return;
      told.add(message);
    }
    toast(message);
  }

  document.addEventListener("htmx:responseError", (event) => {
    const { xhr } = event.detail;
    tell(event.detail, problem(xhr) || fallback(xhr.status));
  });

  document.addEventListener("htmx:sendError", (event) => tell(event.detail, texts.errorNetwork));
  document.addEventListener("htmx:timeout", (event) => tell(event.detail, texts.errorNetwork));

  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, successful } = event.detail;
    if (successful) told.clear();
    // The server is there again: what said otherwise is not true any more.
    if (xhr.status)
      document.dispatchEvent(new CustomEvent("toast-over", { detail: { message: texts.errorNetwork } }));
  });
})();
