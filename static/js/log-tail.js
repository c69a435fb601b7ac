// A log shows its end, also after htmx brings newer lines, unless the reader has scrolled up.
(() => {
  let follow = true;

  function toEnd() {
    const log = document.querySelector("[data-log-tail]");
    if (log && follow) log.scrollTop = log.scrollHeight;
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const log = event.target.querySelector?.("[data-log-tail]");
    if (log) follow = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  document.addEventListener("htmx:afterSettle", toEnd);
  toEnd();
})();
