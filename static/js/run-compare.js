// Curves of several runs on one chart each: training loss, held-out loss. Runs under way are asked for again now and then.
(() => {
  const root = document.querySelector("[data-run-compare]");
  if (!root) return;
  const ASK_EVERY_MS = 10_000;
  const { step, runs } = JSON.parse(document.getElementById("compared-runs").textContent);
  const names = ["loss", "eval_loss"];
  const found = runs.map(() => runCurves({}));
  // Runs that were not asked for yet: what of all steps is looked at is known with the last of them.
  const missing = new Set(runs.keys());
  const view = chartControls(root.querySelector("[data-chart-controls]"), draw);
  /** @type {Record<string, LineChart>} */
  const charts = {};

  /** @param {string} name */
  function lines(name) {
    /** @type {Line[]} */
    const series = [];
    /** @type {Columns[]} */
    const data = [];
    for (const [place, run] of runs.entries()) {
      const x = found[place][name === "loss" ? "step" : "eval_step"];
      const y = found[place][name];
      const isSmooth = view.smooth > 0 && name === "loss";
      const colour = run.colour ?? place + 1;
      const { dash } = run;
      if (isSmooth) {
        series.push({ label: run.name, colour, faint: true, dash: 0 });
        data.push([x, y]);
      }
      series.push({ label: String(run.id), colour, dash, points: name === "eval_loss" });
      data.push([x, isSmooth ? smoothed(y, view.smooth) : y]);
    }
    return { series, data: onOneAxis(data) };
  }

  function draw() {
    for (const name of names) {
      const { series, data } = lines(name);
      if (charts[name]) charts[name].setSeries(series, data);
      else {
        const place = root.querySelector(`[data-curve="${name}"]`);
        const zoomed = name === "loss" ? view.look : undefined;
        charts[name] = lineChart(place, { x: step, height: 260, series, data, sync: "runs", zoomed });
      }
      charts[name].setLog(view.log);
      if (!missing.size) charts[name].setZoom(view.zoom);
    }
  }

  /** @param {number} place */
  async function ask(place) {
    const run = runs[place];
    try {
      const response = await fetch(run.curves);
      if (response.ok) found[place] = runCurves(await response.json());
    } catch {
      // The server is away for a moment; what is drawn stays.
    }
    missing.delete(place);
    draw();
    if (!run.ended) setTimeout(ask, ASK_EVERY_MS, place);
  }

  for (const place of runs.keys()) ask(place);
})();
