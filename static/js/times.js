// Shows <time datetime="…Z"> in the reader's own zone and in the page's language; the exact moment stays in the title.
// The current year goes without saying.
// With data-clock only the time of day is shown, to the second.
(() => {
  const language = document.documentElement.lang;
  const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const thisYear = new Intl.DateTimeFormat(language, {
    month: "short",
    day: "numeric",
    hour: "numeric",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium", hourCycle: "h23" });
  const year = new Date().getFullYear();

  /**
   * @param {HTMLTimeElement} time
   * @param {Date} moment
   */
  function formatOf(time, moment) {
    if ("clock" in time.dataset) return clock;
    return moment.getFullYear() === year ? thisYear : format;
  }

  /** @param {HTMLElement} root */
  function localise(root) {
    const times = [...root.querySelectorAll('time[datetime$="Z"]')];
    if (root.matches?.('time[datetime$="Z"]')) times.push(root);
    for (const time of times) {
      time.title = time.dateTime;
      const moment = new Date(time.dateTime);
      time.textContent = formatOf(time, moment).format(moment);
    }
  }

  document.addEventListener("htmx:load", (event) => localise(event.detail.elt));
  localise(document.body);
})();
