// A run as it happens: the curves so far from the server, then its events. The browser reconnects by itself and
// names the last event it saw, so nothing is missed or doubled. Phases, findings and the end are drawn by the server:
// "run:phase", "run:measured" and "run:state" on <body> make htmx fetch those parts again.
(() => {
  const root = document.querySelector("[data-run-live]");
  if (!root) return;
  // Above this many points the curves are fetched again, thinned.
  const MOST_POINTS = 4000;
  // How often the findings are asked for again: they are judged over all points, a millisecond each.
  const JUDGED_EVERY_MS = 5000;
  const { curves: curvesUrl, events: eventsUrl } = root.dataset;
  const labels = JSON.parse(document.getElementById("chart-labels").textContent);
  const whole = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
  const exact = new Intl.NumberFormat(document.documentElement.lang, {
    minimumFractionDigits: 3,
    maximumFractionDigits: 3,
  });

  let curves = runCurves({});
  // What is looked at closely, with every point: {from, to, curves}.
  /** @type {{ from: number, to: number, curves: Curves } | null} */
  let closeup = null;
  /** @type {(() => void) | null} */
  let stopListening = null;
  let drawing = false;
  /** @type {Timer} */
  let judged;
  /** @type {Timer} */
  let zooming;
  const view = chartControls(root.querySelector("[data-chart-controls]"), draw);
  /** @type {Record<string, LineChart & { shape?: string }>} */
  const charts = {};

  /** @type {Record<string, (value: number) => string>} */
  const FORMATS = {
    rate: (number) => (number ? Number(number.toPrecision(3)).toExponential() : "0"),
    memory: (number) => size(number),
    load: (number) => `${number} %`,
  };
  // Under the pointer there is room for more digits.
  /** @type {Record<string, (value: number) => string>} */
  const TOLD = {
    rate: (number) => (number ? number.toExponential(2) : "0"),
    load: (number) => `${Number(number.toPrecision(3))} %`,
  };

  // Lines of each chart, of the columns that have any value: label, column, and whether it has steps of its own.
  /** @type {Record<string, [label: string, column: string][]>} */
  const LINES = {
    loss: [
      [labels.loss, "loss"],
      [labels.eval, "eval_loss"],
      [labels.mixed, "mixed_loss"],
    ],
    rate: [[labels.rate, "learning_rate"]],
    norm: [[labels.norm, "grad_norm"]],
    speed: [[labels.speed, "tokens_per_second"]],
    memory: [
      [labels.memory, "memory_bytes"],
      [labels.host, "host_memory_bytes"],
      [labels.device, "device_memory_bytes"],
    ],
    load: [
      [labels.cpu, "cpu_utilization"],
      [labels.gpu, "device_utilization"],
    ],
  };
  // What is noise from batch to batch.
  const SMOOTHED = ["loss", "grad_norm", "tokens_per_second"];

  /** @param {string} name */
  function chart(name) {
    return lineChart(root.querySelector(`[data-curve="${name}"]`), {
      x: labels.step,
      height: name === "loss" ? 280 : 150,
      format: FORMATS[name],
      bytes: name === "memory",
      tell: TOLD[name],
      series: LINES[name].map(([label]) => ({ label })),
      data: [[], ...LINES[name].map(() => [])],
      sync: "run",
      // The others follow it, and have fewer steps.
      zoomed: name === "loss" ? lookClosely : undefined,
    });
  }

  // A column with its steps; where a part is looked at closely, with every point there.
  /** @param {string} name */
  function column(name) {
    const isHeldOut = name === "eval_loss" || name === "mixed_loss";
    const steps = isHeldOut ? "eval_step" : "step";
    if (!closeup || isHeldOut) return [curves[steps], curves[name]];
    const { from, to, curves: near } = closeup;
    const before = curves.step.findLastIndex((step) => step < from) + 1;
    // What came since it was asked for is among the live points alone.
    const known = Math.min(to, near.step.at(-1) ?? from);
    const found = curves.step.findIndex((step) => step > known);
    const after = found === -1 ? curves.step.length : found;
    /**
     * @param {string} key
     * @param {Column} own
     */
    const joined = (key, own) => [...curves[key].slice(0, before), ...own, ...curves[key].slice(after)];
    const inside = [...near.step.keys()].filter(
      (place) => near.step[place] >= from && near.step[place] <= to,
    );
    return [
      joined(
        "step",
        inside.map((place) => near.step[place]),
      ),
      joined(
        name,
        inside.map((place) => near[name][place]),
      ),
    ];
  }

  // Series and data of a chart: a smoothed line is drawn over its own values, which are faint then.
  /**
   * @param {string} name
   * @returns {[Line[], Columns]}
   */
  function lines(name) {
    /** @type {Line[]} */
    const series = [];
    /** @type {Columns[]} */
    const data = [];
    for (const [place, [label, key]] of LINES[name].entries()) {
      const [x, y] = column(key);
      const colour = place + 1;
      const isSmooth = view.smooth > 0 && SMOOTHED.includes(key);
      if (isSmooth) {
        series.push({ label, colour, faint: true, dash: 0 });
        data.push([x, y]);
      }
      series.push({ label, colour, points: key.endsWith("_loss") });
      data.push([x, isSmooth ? smoothed(y, view.smooth) : y]);
    }
    return [series, onOneAxis(data)];
  }

  function draw() {
    drawing = false;
    const shape = `${view.smooth > 0}`;
    for (const name of Object.keys(LINES)) {
      charts[name] ??= chart(name);
      const [series, data] = lines(name);
      if (charts[name].shape === shape) charts[name].setData(data);
      else charts[name].setSeries(series, data);
      charts[name].shape = shape;
      if (name === "loss" || name === "norm") charts[name].setLog(view.log);
      charts[name].setZoom(view.zoom);
    }
    for (const key of root.querySelectorAll("[data-legend]"))
      key.hidden = !curves[key.dataset.legend].some((/** @type {number | null} */ value) => value != null);
    const best = curves.best();
    for (const name of Object.keys(LINES)) charts[name].setMarks({ ticks: curves.checkpoints });
    charts.loss.setMarks({ best });
    text("best_step", best ? whole.format(best.step) : "–");
    for (const words of root.querySelectorAll("[data-best]"))
      words.hidden = (words.dataset.best === "before") !== (best?.step === 0);
    text("best_loss", best ? exact.format(best.value) : "–");
  }

  // Many events may come at once; the eye needs one drawing a frame.
  function drawSoon() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(draw);
  }

  // One question is enough, and none where every point is there already.
  /**
   * @param {number | null} from
   * @param {number | null} to
   */
  function lookClosely(from, to) {
    view.look(from, to);
    clearTimeout(zooming);
    if (from === null || to === null) {
      closeup = null;
      return;
    }
    if (curves.whole <= curves.step.length) return;
    zooming = setTimeout(async () => {
      const range = { from: Math.floor(from), to: Math.ceil(to) };
      try {
        const response = await fetch(`${curvesUrl}?from_step=${Math.max(0, range.from)}&to_step=${range.to}`);
        if (!response.ok) return;
        closeup = { ...range, curves: runCurves(await response.json()) };
        drawSoon();
      } catch {
        // Without the server the thinned points stay.
      }
    }, 200);
  }

  // What a later attempt took back, or what was thinned meanwhile, is asked for again.
  function lookAgain() {
    if (closeup) lookClosely(closeup.from, closeup.to);
  }

  // Findings change slowly and are judged over all points: asked for now and then.
  function judgeSoon() {
    if (judged) return;
    judged = setTimeout(
      () => {
        judged = undefined;
        tell("run:measured");
      },
      Math.max(JUDGED_EVERY_MS, curves.whole),
    );
  }

  /** @param {any} event */
  function addMetric(event) {
    const isTold = event.step <= (curves.step.at(-1) ?? -1);
    curves.addMetric(event);
    if (isTold) lookAgain();
    show("loss", event.loss, exact);
    show("speed", event.tokens_per_second, whole);
    if (event.memory_bytes) text("memory", size(event.memory_bytes));
    if (curves.step.length > MOST_POINTS) start();
    judgeSoon();
    drawSoon();
  }

  /** @param {any} event */
  function addEval(event) {
    curves.addEval(event);
    show("eval_loss", event.eval_loss, exact);
    judgeSoon();
    drawSoon();
  }

  /** @param {any} event */
  function addCheckpoint(event) {
    curves.addCheckpoint(event);
    drawSoon();
  }

  /** @param {any} event */
  function restore(event) {
    curves.restore(event);
    // The newest figures of the lost attempt stand above the chart.
    tell("run:phase");
    lookAgain();
    judgeSoon();
    drawSoon();
  }

  /** @param {any} event */
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

  /**
   * @param {string} name
   * @param {string} value
   */
  function text(name, value) {
    const place = document.querySelector(`[data-live="${name}"]`);
    if (place) place.textContent = value;
  }

  /**
   * @param {string} name
   * @param {number | null | undefined} value
   * @param {Intl.NumberFormat} format
   */
  function show(name, value, format) {
    if (value != null) text(name, format.format(value));
  }

  /** @param {number} bytes */
  function size(bytes) {
    const units = ["B", "KB", "MB", "GB", "TB"];
    let at = 0;
    while (bytes >= 1024 && at < units.length - 1) {
      bytes /= 1024;
      at += 1;
    }
    return `${bytes.toFixed(at ? 1 : 0)} ${units[at]}`;
  }

  /** @param {number} seconds */
  function clock(seconds) {
    const left = Math.max(0, Math.round(seconds));
    const [hours, minutes, rest] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    /** @param {number} number */
    const two = (number) => String(number).padStart(2, "0");
    return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  }

  /** @param {string} name */
  function tell(name) {
    document.body.dispatchEvent(new Event(name));
  }

  function readMarks() {
    const marks = JSON.parse(document.getElementById("run-marks")?.textContent ?? "[]");
    charts.loss?.setMarks({ marks });
  }

  /** @param {number} after */
  function listen(after) {
    /** @type {Record<string, (event: any) => void>} */
    const handlers = {};
    /**
     * @param {string} kind
     * @param {(event: any) => void} act
     */
    const on = (kind, act) => {
      handlers[kind] = act;
    };
    on("metric", addMetric);
    on("eval", addEval);
    on("checkpoint", addCheckpoint);
    on("restored", restore);
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
      curves = runCurves(columns);
      lookAgain();
      draw();
      readMarks();
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
  document.body.addEventListener("htmx:afterSwap", readMarks);
  start();
})();
