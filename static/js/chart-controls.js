// How charts of a page are looked at: smoothing and a logarithmic axis, kept in the address, so that it outlives a reload and
// can be sent to others. <div data-chart-controls> holds input[name="smooth"] (a range with <output>) and input[name="log"].
// chartControls(element, changed) -> {smooth, log}, kept true; changed() is called at every change.
window.chartControls = (element, changed) => {
  const asked = new URLSearchParams(location.search);
  const smooth = element.querySelector('[name="smooth"]');
  const log = element.querySelector('[name="log"]');
  const said = element.querySelector("output");
  const state = { smooth: 0, log: false };

  function read() {
    state.smooth = Number(smooth.value);
    state.log = log.checked;
    said.textContent = state.smooth.toFixed(2);
  }

  function keep() {
    const address = new URL(location.href);
    const values = { smooth: state.smooth ? String(state.smooth) : null, log: state.log ? "1" : null };
    for (const [name, value] of Object.entries(values)) {
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    }
    history.replaceState(history.state, "", address);
  }

  if (asked.has("smooth")) smooth.value = asked.get("smooth");
  log.checked = asked.get("log") === "1";
  read();
  element.addEventListener("input", () => {
    read();
    keep();
    changed();
  });
  return state;
};
