// Line charts in the page's colours. Load after vendor/uplot; then
//   const chart = lineChart(element, {x: "Step", series: [{label: "Training loss"}, {label: "…", points: true}], data: [[…x], [… or null], …]});
//   chart.setData(data)  — cheap, for live values; chart.destroy()
// Further options: y (label), height in pixels, format (number -> text, for the values at the side).
// Series differ in colour and in dash, in the order of .chart__key--1 … --4. <div data-line-chart="id-of-json"> is drawn on load,
// the JSON being these same options in a <script type="application/json">.
(() => {
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

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

  function line({ label, points = false, width = 2, value }, index) {
    const stroke = colour(`--chart-${index + 1}`);
    return {
      label,
      stroke,
      width,
      value,
      dash: DASHES[index],
      spanGaps: true,
      points: { show: points || isLonely, size: 7, fill: stroke },
    };
  }

  // A line needs two values; what has fewer is drawn as a dot.
  function isLonely(plot, column) {
    return plot.data[column].filter((value) => value != null).length < 2;
  }

  // Where all values are the same, from nothing to twice as much: the library would go to 100.
  function range(_plot, low, high) {
    if (low == null) return [0, 1];
    return low === high
      ? [Math.min(0, 2 * low), Math.max(0, 2 * high) || 1]
      : uPlot.rangeNum(low, high, 0.1, true);
  }

  function options(element, { x, y, series, height, format }) {
    return {
      width: element.clientWidth,
      height: height ?? Math.max(element.clientHeight, 120),
      legend: { show: false },
      cursor: { y: false, points: { size: 8 } },
      scales: { x: { time: false }, y: { range } },
      axes: [
        axis(x, 34, 60),
        { ...axis(y, 52, 24), ...(format && { values: (_plot, ticks) => ticks.map(format) }) },
      ],
      series: [{ label: x }, ...series.map(line)],
    };
  }

  // The value under the pointer, for people who use one; the page's own table or log serves everyone else.
  function readout(plot, output) {
    if (!output) return;
    const index = plot.cursor.idx;
    output.textContent =
      index == null
        ? ""
        : plot.series
            .map(({ label }, column) => ({ label, value: plot.data[column][index] }))
            .filter(({ value }) => value != null)
            .map(({ label, value }) => `${label} ${Number.isInteger(value) ? value : value.toPrecision(4)}`)
            .join(" · ");
  }

  function lineChart(element, config) {
    const output = element.closest(".chart")?.querySelector("[data-chart-readout]");
    let data = config.data;
    let plot = null;

    function draw() {
      plot?.destroy();
      plot = new uPlot(
        { ...options(element, config), hooks: { setCursor: [(self) => readout(self, output)] } },
        data,
        element,
      );
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
        plot.setData(next);
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
