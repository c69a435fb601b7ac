// What is drawn over a chart's lines: findings as numbered dashed lines from top to bottom, checkpoints as small triangles
// on the axis of steps, the best value as a ring. drawMarks(plot, {marks: [{step, title}], ticks: [step], best: {step, value}},
// name => colour); steps outside of what is looked at are left out.
window.drawMarks = (plot, { marks = [], ticks = [], best = null }, colour) => {
  const { ctx: brush, bbox: area } = plot;
  const scale = devicePixelRatio;
  const { min, max } = plot.scales.x;
  /** @param {number} step */
  const isShown = (step) => step >= min && step <= max;
  /** @param {number} step */
  const across = (step) => plot.valToPos(step, "x", true);
  if (!(max > min)) return;

  /** @param {number} step */
  function triangle(step) {
    const [x, y, size] = [across(step), area.top + area.height, 4 * scale];
    brush.beginPath();
    brush.moveTo(x, y - 2 * size);
    brush.lineTo(x - size, y);
    brush.lineTo(x + size, y);
    brush.closePath();
    brush.fill();
  }

  /** @param {{ step: number, value: number }} best */
  function ring({ step, value }) {
    brush.beginPath();
    brush.arc(across(step), plot.valToPos(value, "y", true), 7 * scale, 0, 2 * Math.PI);
    brush.stroke();
  }

  // Numbers of marks that stand close together go below each other.
  /**
   * @param {number} step
   * @param {number} number
   * @param {number} row
   */
  function numbered(step, number, row) {
    const x = across(step);
    const radius = 8 * scale;
    const y = area.top + radius + 2 * scale + row * 2.4 * radius;
    brush.setLineDash([4 * scale, 4 * scale]);
    brush.beginPath();
    brush.moveTo(x, area.top);
    brush.lineTo(x, area.top + area.height);
    brush.stroke();
    brush.setLineDash([]);
    brush.beginPath();
    const place = Math.min(Math.max(x, area.left + radius), area.left + area.width - radius);
    brush.arc(place, y, radius, 0, 2 * Math.PI);
    brush.fill();
    brush.fillStyle = colour("--chart-ground");
    brush.fillText(String(number), place, y);
    brush.fillStyle = colour("--chart-mark");
  }

  brush.save();
  brush.fillStyle = colour("--chart-ink");
  for (const step of ticks.filter(isShown)) triangle(step);
  if (best && isShown(best.step)) {
    brush.lineWidth = 2 * scale;
    brush.strokeStyle = colour("--chart-best");
    ring(best);
  }
  brush.lineWidth = 1.5 * scale;
  brush.font = `600 ${11 * scale}px system-ui`;
  brush.textAlign = "center";
  brush.textBaseline = "middle";
  brush.strokeStyle = colour("--chart-mark");
  brush.fillStyle = colour("--chart-mark");
  let last = Number.NEGATIVE_INFINITY;
  let row = 0;
  for (const [place, { step }] of [...marks.entries()].sort(([, a], [, b]) => a.step - b.step)) {
    if (!isShown(step)) continue;
    row = across(step) - last < 20 * scale ? row + 1 : 0;
    last = across(step);
    numbered(step, place + 1, row);
  }
  brush.restore();
};
