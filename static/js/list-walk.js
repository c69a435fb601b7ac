// Walking through a list by keyboard: ↓ in the search field goes to the first row's link, ↓ and ↑ on a link to the next one,
// ↑ on the first back to the search field. Enter opens, as links do.
(() => {
  const links = () => [...document.querySelectorAll("#conversation-list .row-link")];

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    const search = document.querySelector('[role="search"] input[type="search"]');
    const list = links();
    const position = event.target === search ? -1 : list.indexOf(event.target);
    if (event.target !== search && position < 0) return;
    const target = position + step < 0 ? search : list[position + step];
    if (!target || target === event.target) return;
    event.preventDefault();
    target.focus();
  });
})();
