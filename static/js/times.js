// Shows <time datetime="…Z"> in the reader's own zone and in the page's language; the exact moment stays in the title.
// With data-clock only the time of day is shown, to the second.
(() => {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, {
    dateStyle: "medium",
    timeStyle: "short",
  });

  const clock = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "medium", hourCycle: "h23" });

  function localise(root) {
    const times = [...root.querySelectorAll('time[datetime$="Z"]')];
    if (root.matches?.('time[datetime$="Z"]')) times.push(root);
    for (const time of times) {
      time.title = time.dateTime;
      time.textContent = ("clock" in time.dataset ? clock : format).format(new Date(time.dateTime));
    }
  }

  document.addEventListener("htmx:load", (event) => localise(event.detail.elt));
  localise(document.body);
})();
