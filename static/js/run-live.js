// A run as it happens: the curves so far from the server, then its events. The browser reconnects by itself and
// names the last event it saw, so nothing is missed or doubled. Phases and the end are drawn by the server:
// "run:phase" and "run:state" on <body> make htmx fetch those parts again.
(() => {
  const root = document.querySelector("[data-run-live]");
  if (!root) return;
  // Above this many points the curves are fetched again, thinned.
  const MOST_POINTS = 4000;
  const { curves: curvesUrl, events: eventsUrl } = root.dataset;
  const whole = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
  const exact = new Intl.NumberFormat(document.documentElement.lang, {
    minimumFractionDigits: 3,
    maximumFractionDigits: 3,
  });
  const COLUMNS = ["step", "loss", "learning_rate", "grad_norm"];

  let curves = emptyCurves();
  let stopListening = null;
  let drawing = false;
  const charts = {
    loss: chart("loss", [root.dataset.labelLoss], [root.dataset.labelEval]),
    rate: chart("rate", [root.dataset.labelRate]),
    norm: chart("norm", [root.dataset.labelNorm]),
  };

  function emptyCurves() {
    return { step: [], loss: [], learning_rate: [], grad_norm: [], eval_step: [], eval_loss: [] };
  }

  function chart(name, lines, dotted = []) {
    const series = [
      ...lines.map((label) => ({ label })),
      ...dotted.map((label) => ({ label, points: true })),
    ];
    return lineChart(root.querySelector(`[data-curve="${name}"]`), {
      x: root.dataset.labelStep,
      height: name === "loss" ? 280 : 170,
      format: name === "rate" ? (number) => (number ? number.toExponential(0) : "0") : undefined,
      series,
      data: [[], ...series.map(() => [])],
    });
  }

  // Two lists of steps become one axis; where one has no value there is a gap.
  function joined() {
    const steps = [...new Set([...curves.step, ...curves.eval_step])].sort((a, b) => a - b);
    const trained = new Map(curves.step.map((step, at) => [step, curves.loss[at]]));
    const heldOut = new Map(curves.eval_step.map((step, at) => [step, curves.eval_loss[at]]));
    return [
      steps,
      steps.map((step) => trained.get(step) ?? null),
      steps.map((step) => heldOut.get(step) ?? null),
    ];
  }

  function draw() {
    drawing = false;
    charts.loss.setData(joined());
    charts.rate.setData([curves.step, curves.learning_rate]);
    charts.norm.setData([curves.step, curves.grad_norm]);
  }

  // Many events may come at once; the eye needs one drawing a frame.
  function drawSoon() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(draw);
  }

  function dropFrom(step, stepColumn, others) {
    while (curves[stepColumn].length && curves[stepColumn].at(-1) >= step)
      for (const column of [stepColumn, ...others]) curves[column].pop();
  }

  // A step that was seen before: a later attempt went back to a checkpoint, so what came after it is replaced.
  function addMetric(event) {
    dropFrom(event.step, "step", COLUMNS.slice(1));
    dropFrom(event.step + 1, "eval_step", ["eval_loss"]);
    for (const column of COLUMNS) curves[column].push(event[column] ?? null);
    show("loss", event.loss, exact);
    show("speed", event.tokens_per_second, whole);
    if (event.memory_bytes) text("memory", size(event.memory_bytes));
    if (curves.step.length > MOST_POINTS) start();
    drawSoon();
  }

  function addEval(event) {
    dropFrom(event.step, "eval_step", ["eval_loss"]);
    curves.eval_step.push(event.step);
    curves.eval_loss.push(event.eval_loss ?? null);
    show("eval_loss", event.eval_loss, exact);
    drawSoon();
  }

  function progress({ step, total_steps: total, epoch, eta_seconds: seconds }) {
    show("step", step, whole);
    show("total", total, whole);
    if (epoch != null) text("epoch", epoch.toFixed(2));
    if (seconds != null) text("eta", clock(seconds));
    const bar = document.querySelector("[data-live-bar]");
    if (!bar || !total) return;
    bar.max = total;
    bar.value = step;
  }

  function text(name, value) {
    const place = document.querySelector(`[data-live="${name}"]`);
    if (place) place.textContent = value;
  }

  function show(name, value, format) {
    if (value != null) text(name, format.format(value));
  }

  function size(bytes) {
    const units = ["B", "KB", "MB", "GB", "TB"];
    let at = 0;
    while (bytes >= 1024 && at < units.length - 1) {
      bytes /= 1024;
      at += 1;
    }
    return `${bytes.toFixed(at ? 1 : 0)} ${units[at]}`;
  }

  function clock(seconds) {
    const left = Math.max(0, Math.round(seconds));
    const [hours, minutes, rest] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    const two = (number) => String(number).padStart(2, "0");
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  }

  function tell(name) {
    document.body.dispatchEvent(new Event(name));
  }

  function listen(after) {
    /** @type {Record<string, (event: any) => void>} */
    const handlers = {};
    const on = (kind, act) => {
      handlers[kind] = act;
    };
    on("metric", addMetric);
    on("eval", addEval);
    on("progress", progress);
    on("phase", () => tell("run:phase"));
    on("state", () => tell("run:state"));
    on("stop_requested", () => tell("run:state"));
    on("end", () => {
      stopListening?.();
      tell("run:state");
    });
    stopListening = jobEvents(eventsUrl, root.dataset.eventsList, after, handlers);
  }

  async function start() {
    stopListening?.();
    stopListening = null;
    try {
      const response = await fetch(curvesUrl);
      if (!response.ok) throw new Error(String(response.status));
      const { last_seq: seq, ...columns } = await response.json();
      curves = columns;
      draw();
      // What happened between the page and its curves is in neither: let the server draw its parts again.
      if (seq > Number(root.dataset.seq)) tell("run:state");
      root.dataset.seq = seq;
      if (root.dataset.ended !== "true") listen(seq);
    } catch {
      // Without the server there is nothing to draw; the page's own polling says so, and this tries again.
      setTimeout(start, 5000);
    }
  }

  addEventListener("pagehide", () => stopListening?.());
  addEventListener("pageshow", (event) => event.persisted && start());
  start();
})();
