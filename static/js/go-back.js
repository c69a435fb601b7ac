// A "back" button for pages that one came to from another page of this server; hidden where there is nowhere to go.
for (const button of document.querySelectorAll("[data-go-back]")) {
  button.hidden = !(history.length > 1 && document.referrer.startsWith(location.origin));
  button.addEventListener("click", () => history.back());
}
