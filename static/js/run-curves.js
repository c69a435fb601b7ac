// The curves of one run as columns, as /curves gives them, kept true as events come: metrics, held-out losses, checkpoints.
// A later attempt that goes back to a checkpoint says so (restored); of one that only tells a step again, what came after it is
// replaced.
window.runCurves = (columns) => {
  const METRICS = [
    "step",
    "epoch",
    "loss",
    "learning_rate",
    "grad_norm",
    "tokens_per_second",
    "memory_bytes",
    "host_memory_bytes",
    "cpu_utilization",
    "device_memory_bytes",
    "device_utilization",
  ];
  /** @type {any} */
  const curves = { checkpoints: [], eval_step: [], eval_loss: [], mixed_loss: [], whole: 0 };
  for (const name of METRICS) curves[name] = [];
  Object.assign(curves, columns);

  /**
   * @param {number} step
   * @param {string} first
   * @param {string[]} others
   */
  function dropFrom(step, first, others) {
    while (curves[first].length && curves[first].at(-1) >= step)
      for (const column of [first, ...others]) curves[column].pop();
  }

  /** @param {number} step */
  function dropMetricsFrom(step) {
    const before = curves.step.length;
    dropFrom(step, "step", METRICS.slice(1));
    curves.whole -= before - curves.step.length;
  }

  // What was measured and kept behind a step.
  /** @param {number} step */
  function dropRestAfter(step) {
    dropFrom(step + 1, "eval_step", ["eval_loss", "mixed_loss"]);
    dropFrom(step + 1, "checkpoints", []);
  }

  /** @param {any} event */
  curves.restore = (event) => {
    dropMetricsFrom(event.step + 1);
    dropRestAfter(event.step);
  };

  /** @param {any} event */
  curves.addMetric = (event) => {
    dropMetricsFrom(event.step);
    dropRestAfter(event.step);
    for (const column of METRICS) curves[column].push(event[column] ?? null);
    curves.whole += 1;
  };

  /** @param {any} event */
  curves.addEval = (event) => {
    dropFrom(event.step, "eval_step", ["eval_loss", "mixed_loss"]);
    curves.eval_step.push(event.step);
    curves.eval_loss.push(event.eval_loss ?? null);
    curves.mixed_loss.push(event.mixed_loss ?? null);
  };

  /** @param {any} event */
  curves.addCheckpoint = (event) => {
    dropFrom(event.step, "checkpoints", []);
    curves.checkpoints.push(event.step);
  };

  // The lowest held-out loss. Step 0, from before any training, is one of them: a run that only gets worse has its best there.
  curves.best = () => {
    let best = null;
    for (const [place, step] of curves.eval_step.entries()) {
      const value = curves.eval_loss[place];
      if (value != null && (best === null || value < best.value)) best = { step, value };
    }
    return best;
  };

  return curves;
};

// The exponential mean of a column, weight 0 (as it is) to 0.99, without the pull of its beginning; gaps stay gaps.
window.smoothed = (column, weight) => {
  if (!weight) return column;
  let sum = 0;
  let share = 0;
  return column.map((value) => {
    if (value == null) return null;
    sum = sum * weight + (1 - weight) * value;
    share = share * weight + (1 - weight);
    return sum / share;
  });
};

// Several lines, each with steps of its own, on one axis: [[x, y], …] -> [x, y, y, …]; where a line has no value there is a gap.
window.onOneAxis = (lines) => {
  const steps = [...new Set(lines.flatMap(([x]) => x))].sort((a, b) => Number(a) - Number(b));
  return [
    steps,
    ...lines.map(([x, y]) => {
      const at = new Map(x.map((step, place) => [step, y[place]]));
      return steps.map((step) => at.get(step) ?? null);
    }),
  ];
};
