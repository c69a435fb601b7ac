// Shows <time datetime="…Z"> in the reader's own zone and in the page's language; the exact moment stays in the title.
(() => {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, {
    dateStyle: "medium",
    timeStyle: "short",
  });

  function localise(root) {
    const times = [...root.querySelectorAll('time[datetime$="Z"]')];
    if (root.matches?.('time[datetime$="Z"]')) times.push(root);
    for (const time of times) {
      time.title = time.dateTime;
      time.textContent = format.format(new Date(time.dateTime));
    }
  }

  document.addEventListener("htmx:load", (event) => localise(event.detail.elt));
  localise(document.body);
})();
