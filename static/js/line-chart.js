// Line charts in the page's colours. Load after vendor/uplot and chart-marks.js; then
//   const chart = lineChart(element, {x: "Step", series: [{label: "Training loss"}, {label: "…", points: true}], data: [[…x], [… or null], …]});
//   chart.setData(data)  — cheap, for live values; chart.destroy()
//   chart.setSeries(series, data)  — other lines; chart.setLog(true)  — a logarithmic axis, without what it cannot show
//   chart.setZoom([from, to])  — a part of the axis; null: all of it
//   chart.setMarks({marks: [{step, title}], ticks: [step], best: {step, value, title}})  — drawn by chart-marks.js
// Further options: y (label), height in pixels, format (number -> text, for the values at the side), tell (the same for the value
// under the pointer, where that is told more closely), bytes (values are amounts of memory), sync (charts with the
// same word share the place of their pointer), zoomed ((from, to) -> , told when a part of the axis is looked at; two nulls: all).
// A series may have colour (1 to 4), faint, and its own dash (0 to 3); else they differ in both, in the order of .chart__key--1 … --4.
// Where there is no value at all, the element's data-empty is written in place of empty axes.
// <div data-line-chart="id-of-json"> is drawn on load, the JSON being these options in a <script type="application/json">.
(() => {
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];
  const FAINT = "55";
  const WRITTEN = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 2 });

  /** @param {string} name */
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // As #rrggbb, whatever the style sheet calls it, so that it can be made faint.
  /** @param {string} name */
  function plain(name) {
    const brush = document.createElement("canvas").getContext("2d");
    if (!brush) return "#000000";
    brush.fillStyle = colour(name);
    brush.fillRect(0, 0, 1, 1);
    const [red, green, blue] = brush.getImageData(0, 0, 1, 1).data;
    return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("")}`;
  }

  /**
   * @param {string | undefined} label
   * @param {number} size
   * @param {number} space
   */
  function axis(label, size, space) {
    return {
      label,
      size,
      labelSize: 18,
      gap: 4,
      space,
      font: "11px system-ui",
      labelFont: "11px system-ui",
      stroke: colour("--chart-ink"),
      grid: { stroke: colour("--chart-grid"), width: 1 },
      ticks: { show: false },
    };
  }

  /**
   * @param {Line} line
   * @param {number} index
   */
  function line({ label, points = false, width = 2, value, colour: number, faint, dash }, index) {
    const stroke = plain(`--chart-${number ?? index + 1}`) + (faint ? FAINT : "");
    return {
      label,
      stroke,
      width: faint ? 1 : width,
      value,
      dash: DASHES[dash ?? (number ?? index + 1) - 1],
      spanGaps: true,
      points: { show: points || isLonely, size: 7, fill: stroke },
    };
  }

  // A line needs two values; what has fewer is drawn as a dot.
  /**
   * @param {Plot} plot
   * @param {number} column
   */
  function isLonely(plot, column) {
    return plot.data[column].filter((/** @type {number | null} */ value) => value != null).length < 2;
  }

  // Steps are whole numbers, and bytes are counted in powers of two.
  const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].flatMap((power) => [power, 2 * power, 5 * power]);
  const BYTES = Array.from({ length: 40 }, (_none, power) => 2 ** (power + 10));
  // What is so near to the pointer, as a share of what is seen, is told as the value there: lines have points of their own.
  const NEAR = 0.02;

  // Where all values are the same, from nothing to twice as much: the library would go to 100.
  /**
   * @param {Plot} _plot
   * @param {number | null} low
   * @param {number} high
   */
  function range(_plot, low, high) {
    if (low == null) return [0, 1];
    return low === high
      ? [Math.min(0, 2 * low), Math.max(0, 2 * high) || 1]
      : uPlot.rangeNum(low, high, 0.1, true);
  }

  /**
   * @param {Plot} _plot
   * @param {number | null} low
   * @param {number} high
   */
  function logRange(_plot, low, high) {
    return low == null ? [0.1, 1] : uPlot.rangeLog(low, high === low ? 10 * low : high, 10, false);
  }

  /**
   * @param {HTMLElement} element
   * @param {LineChartConfig} config
   * @param {boolean} log
   * @param {[number, number] | null} zoom
   */
  function options(element, { x, y, series, height, format, bytes, sync }, log, zoom) {
    return {
      width: element.clientWidth,
      height: height ?? Math.max(element.clientHeight, 120),
      legend: { show: false },
      cursor: {
        y: false,
        points: { size: 8 },
        ...(sync && { sync: { key: sync, scales: ["x", null] } }),
      },
      scales: {
        x: { time: false, ...(zoom && { min: zoom[0], max: zoom[1] }) },
        y: log ? { distr: 3, range: logRange } : { range },
      },
      axes: [
        { ...axis(x, 34, 60), incrs: WHOLE },
        {
          ...axis(y, 52, 24),
          ...(bytes && { incrs: BYTES }),
          ...(format && {
            values: (/** @type {Plot} */ _plot, /** @type {number[]} */ ticks) => ticks.map(format),
          }),
        },
      ],
      series: [{ label: x }, ...series.map(line)],
    };
  }

  // The value of a line at a place, or the nearest one that is near.
  /**
   * @param {Plot} plot
   * @param {number} column
   * @param {number} index
   */
  function valueNear(plot, column, index) {
    const [steps, values] = [plot.data[0], plot.data[column]];
    const reach = NEAR * (plot.scales.x.max - plot.scales.x.min);
    for (let away = 0; ; away += 1) {
      const places = [index - away, index + away].filter(
        (place) => place in steps && Math.abs(steps[place] - steps[index]) <= reach,
      );
      const found = places.find((place) => values[place] != null);
      if (found !== undefined || !places.length) return values[found ?? index];
    }
  }

  /** @param {number} value */
  function plainly(value) {
    return Number.isInteger(value) ? String(value) : value.toPrecision(4);
  }

  // The value under the pointer, for people who use one; the page's own table or log serves everyone else.
  /**
   * @param {Plot} plot
   * @param {HTMLElement | null} output
   * @param {Line[]} series
   * @param {(value: number) => string} tell
   */
  function readout(plot, output, series, tell) {
    if (!output) return;
    const index = plot.cursor.idx;
    output.textContent =
      index == null
        ? ""
        : [{ label: plot.series[0].label, faint: false }, ...series]
            .map(({ label, faint }, column) => ({ label, faint, value: valueNear(plot, column, index) }))
            .filter(({ value, faint }) => value != null && !faint)
            .map(({ label, value }, place) => `${label} ${place ? tell(value) : WRITTEN.format(value)}`)
            .join(" · ");
  }

  /**
   * @param {HTMLElement} element
   * @param {LineChartConfig} config
   * @returns {LineChart}
   */
  function lineChart(element, config) {
    const output = element.closest(".chart")?.querySelector("[data-chart-readout]");
    let { data, series } = config;
    let log = false;
    /** @type {Marks} */
    let signs = {};
    /** @type {Plot} */
    let plot = null;
    /** @type {[number, number] | null} */
    let zoom = null;

    // A logarithm knows nothing of zero.
    function shown() {
      if (!log) return data;
      return data.map((column, index) =>
        index ? column.map((value) => (value !== null && value > 0 ? value : null)) : column,
      );
    }

    function sayWhetherEmpty() {
      const has = shown().some((column, index) => index && column.some((value) => value != null));
      element.classList.toggle("chart__canvas--empty", !has);
    }

    /**
     * @param {Plot} self
     * @param {string} key
     */
    function look(self, key) {
      if (key !== "x") return;
      const { min, max } = self.scales.x;
      const steps = self.data[0];
      if (!steps.length) return;
      const whole = min <= steps[0] && max >= steps.at(-1);
      if (whole ? zoom === null : zoom !== null && zoom[0] === min && zoom[1] === max) return;
      zoom = whole ? null : [min, max];
      const [from, to] = zoom ?? [null, null];
      config.zoomed?.(from, to);
    }

    function draw() {
      plot?.destroy();
      plot = new uPlot(
        {
          ...options(element, { ...config, series }, log, zoom),
          hooks: {
            setCursor: [
              (/** @type {Plot} */ self) =>
                readout(self, output, series, config.tell ?? config.format ?? plainly),
            ],
            draw: [(/** @type {Plot} */ self) => window.drawMarks?.(self, signs, colour)],
            setScale: [look],
          },
        },
        shown(),
        element,
      );
      sayWhetherEmpty();
    }

    const resized = new ResizeObserver(() => {
      if (element.clientWidth && element.clientWidth !== plot.width)
        plot.setSize({ width: element.clientWidth, height: plot.height });
    });
    draw();
    resized.observe(element);
    document.addEventListener("theme:changed", draw);
    return {
      setData(next) {
        data = next;
        plot.setData(shown(), zoom === null);
        sayWhetherEmpty();
        // What is looked at closely stays so when values come.
        if (zoom) plot.setScale("x", { min: zoom[0], max: zoom[1] });
      },
      setSeries(next, nextData) {
        series = next;
        data = nextData;
        draw();
      },
      setLog(on) {
        if (log === on) return;
        log = on;
        draw();
      },
      setZoom(next) {
        const steps = data[0].filter((step) => step !== null);
        const isWhole = next && steps.length && next[0] <= steps[0] && next[1] >= steps[steps.length - 1];
        const part = isWhole ? null : next;
        if (isWhole) config.zoomed?.(null, null);
        if (String(part) === String(zoom && [Math.floor(zoom[0]), Math.ceil(zoom[1])])) return;
        // Without values there is nothing to see yet; they come to where it is looked.
        if (!steps.length) zoom = part;
        else if (part) plot.setScale("x", { min: part[0], max: part[1] });
        else plot.setData(shown(), true);
      },
      setMarks(next) {
        signs = { ...signs, ...next };
        plot.redraw(false);
      },
      destroy() {
        resized.disconnect();
        document.removeEventListener("theme:changed", draw);
        plot.destroy();
      },
    };
  }

  window.lineChart = lineChart;
  for (const element of document.querySelectorAll("[data-line-chart]")) {
    lineChart(element, JSON.parse(document.getElementById(element.dataset.lineChart).textContent));
  }
})();
