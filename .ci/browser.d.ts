// What static/js may rely on besides the browser. A selector says what kind of element it finds, and so does the page
// that an event comes from: neither is checked further, nor are parameters without a type of their own. Names, arguments,
// our own objects and what may be null are.

interface ParentNode {
  querySelector(selectors: string): any;
  querySelectorAll(selectors: string): NodeListOf<any>;
}
interface Element {
  closest(selectors: string): any;
  addEventListener(type: string, listener: (event: any) => void, options?: boolean | AddEventListenerOptions): void;
}
interface HTMLElement {
  addEventListener(type: string, listener: (event: any) => void, options?: boolean | AddEventListenerOptions): void;
}
interface Document {
  getElementById(elementId: string): any;
  addEventListener(type: string, listener: (event: any) => void, options?: boolean | AddEventListenerOptions): void;
}
interface EventTarget {
  addEventListener(type: string, listener: (event: any) => void, options?: boolean | AddEventListenerOptions): void;
}

// static/vendor
declare const htmx: {
  trigger(element: EventTarget, event: string, detail?: object): void;
  ajax(verb: string, path: string, context: { source?: Element; target?: Element | string; swap?: string }): Promise<void>;
};
declare const uPlot: {
  new (options: object, data: Columns, element: Element): any;
  rangeNum(low: number, high: number, padding: number, soft: boolean): [number, number];
  rangeLog(low: number, high: number, base: number, fullMagnitudes: boolean): [number, number];
};

// What our scripts give each other: line-chart.js, chart-marks.js, chart-controls.js, run-curves.js, job-events.js,
// conversation-drafts.js.
type Column = (number | null)[];
type Columns = Column[];
interface Line {
  label: string;
  points?: boolean;
  width?: number;
  value?: string;
  colour?: number;
  faint?: boolean;
  dash?: number;
}
interface Marks {
  marks?: { step: number; title?: string }[];
  ticks?: number[];
  best?: { step: number; value: number } | null;
}
interface LineChart {
  setData(data: Columns): void;
  setSeries(series: Line[], data: Columns): void;
  setLog(on: boolean): void;
  setMarks(marks: Marks): void;
  destroy(): void;
}
interface Curves {
  step: number[];
  eval_step: number[];
  checkpoints: number[];
  whole: number;
  addMetric(event: any): void;
  addEval(event: any): void;
  addCheckpoint(event: any): void;
  best(): { step: number; value: number } | null;
  [column: string]: any;
}
interface LineChartConfig {
  x: string;
  y?: string;
  height?: number;
  format?: (value: number) => string;
  /** How a value under the pointer is said; `format` where nothing is given. */
  tell?: (value: number) => string;
  series: Line[];
  data: Columns;
  sync?: string;
  zoomed?: (from: number | null, to: number | null) => void;
}
type Field = HTMLInputElement | HTMLTextAreaElement;
declare var lineChart: (element: HTMLElement, config: LineChartConfig) => LineChart;
declare var drawMarks: (plot: any, marks: Marks, colour: (name: string) => string) => void;
declare var chartControls: (element: HTMLElement, changed: () => void) => { smooth: number; log: boolean };
declare var runCurves: (columns: object) => Curves;
declare var smoothed: (column: Column, weight: number) => Column;
declare var onOneAxis: (lines: Columns[]) => Columns;
interface JobEvent {
  seq: number;
  kind: string;
  [field: string]: any;
}
declare var jobEvents: (
  streamUrl: string,
  listUrl: string,
  after: number,
  handlers: Record<string, (event: any) => void>,
) => () => void;
declare var conversationDrafts: {
  keep(turn: number | string, base: string, text: string): void;
  drop(turn: number | string): void;
  restore(fields: Field[]): Field[];
};
