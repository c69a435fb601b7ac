// How many notices are not read stands in the title of the page too, for those who look at another tab.
(() => {
  const title = document.title;

  document.addEventListener("htmx:load", (event) => {
    const bell = event.detail.elt.id === "bell" ? event.detail.elt : null;
    if (!bell) return;
    const unread = Number(bell.dataset.unread);
    document.title = unread ? `(${unread}) ${title}` : title;
  });
})();
