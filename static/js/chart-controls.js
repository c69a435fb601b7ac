// How charts of a page are looked at: smoothing, a logarithmic axis and the part of the steps that is looked at closely, kept in
// the address, so that it outlives a reload and can be sent to others; each part that was looked at is a step of the browser's history.
// <div data-chart-controls> holds input[name="smooth"] (a range with <output>), input[name="log"], two numbers input[name="from"] and
// input[name="to"], and [data-chart-all], a button that shows all again.
// chartControls(element, changed) -> {smooth, log, zoom, look}, kept true; changed() is called at every change.
// look(from, to) tells which steps a chart shows now, two nulls: all of them.
window.chartControls = (element, changed) => {
  const smooth = element.querySelector('[name="smooth"]');
  const log = element.querySelector('[name="log"]');
  const from = element.querySelector('[name="from"]');
  const to = element.querySelector('[name="to"]');
  const all = element.querySelector("[data-chart-all]");
  const said = element.querySelector("output");
  /** @type {ChartView} */
  const state = { smooth: 0, log: false, zoom: null, look };

  // Whole steps; two that are no part of an axis mean all of it.
  /**
   * @param {string | null} first
   * @param {string | null} last
   * @returns {[number, number] | null}
   */
  function part(first, last) {
    const [start, end] = [Number.parseInt(first ?? "", 10), Number.parseInt(last ?? "", 10)];
    return start >= 0 && end > start ? [start, end] : null;
  }

  function say() {
    smooth.value = String(state.smooth);
    log.checked = state.log;
    said.textContent = state.smooth.toFixed(2);
    from.value = state.zoom?.[0] ?? "";
    to.value = state.zoom?.[1] ?? "";
    all.hidden = state.zoom === null;
  }

  function readAddress() {
    const asked = new URLSearchParams(location.search);
    // The field knows its own limits.
    smooth.value = asked.get("smooth") ?? "0";
    state.smooth = Number(smooth.value);
    state.log = asked.get("log") === "1";
    state.zoom = part(asked.get("from"), asked.get("to"));
    say();
  }

  /** @param {boolean} isStep whether the way back should come by what was seen before */
  function keep(isStep) {
    const address = new URL(location.href);
    const values = {
      smooth: state.smooth ? String(state.smooth) : null,
      log: state.log ? "1" : null,
      from: state.zoom ? String(state.zoom[0]) : null,
      to: state.zoom ? String(state.zoom[1]) : null,
    };
    for (const [name, value] of Object.entries(values)) {
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    }
    if (isStep) history.pushState(null, "", address);
    else history.replaceState(history.state, "", address);
  }

  /**
   * @param {number | null} first
   * @param {number | null} last
   */
  function look(first, last) {
    const zoom =
      first === null || last === null
        ? null
        : part(String(Math.floor(Math.max(0, first))), String(Math.ceil(last)));
    if (String(zoom) === String(state.zoom)) return;
    state.zoom = zoom;
    say();
    keep(true);
  }

  readAddress();
  element.addEventListener("input", (event) => {
    if (event.target !== smooth && event.target !== log) return;
    state.smooth = Number(smooth.value);
    state.log = log.checked;
    say();
    keep(false);
    changed();
  });
  element.addEventListener("change", (event) => {
    if (event.target !== from && event.target !== to) return;
    const zoom = part(from.value, to.value);
    // Half of a part is on its way to a whole one.
    if (!zoom && (from.value || to.value)) return;
    look(zoom?.[0] ?? null, zoom?.[1] ?? null);
    changed();
  });
  all.addEventListener("click", () => {
    look(null, null);
    changed();
  });
  addEventListener("popstate", () => {
    readAddress();
    changed();
  });
  return state;
};
