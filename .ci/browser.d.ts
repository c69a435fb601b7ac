// What static/js may rely on besides the browser. A selector says what kind of element it finds, and so does the page
// that an event comes from: neither is checked further. Names, arguments, our own objects and what may be null are.

type PageEvent = any;
interface ParentNode {
  querySelector(selectors: string): any;
  querySelectorAll(selectors: string): NodeListOf<any>;
}
interface Element {
  closest(selectors: string): any;
  addEventListener(type: string, listener: (event: PageEvent) => void, options?: boolean | AddEventListenerOptions): void;
}
interface HTMLElement {
  addEventListener(type: string, listener: (event: PageEvent) => void, options?: boolean | AddEventListenerOptions): void;
}
interface Document {
  getElementById(elementId: string): any;
  addEventListener(type: string, listener: (event: PageEvent) => void, options?: boolean | AddEventListenerOptions): void;
}
interface EventTarget {
  addEventListener(type: string, listener: (event: PageEvent) => void, options?: boolean | AddEventListenerOptions): void;
}

// static/vendor
declare const htmx: {
  trigger(element: EventTarget, event: string, detail?: object): void;
  ajax(verb: string, path: string, context: { source?: Element; target?: Element | string; swap?: string }): Promise<void>;
};
type Plot = any;
declare const uPlot: {
  new (options: object, data: Columns, element: Element): Plot;
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
  setZoom(part: [number, number] | null): void;
  setMarks(marks: Marks): void;
  destroy(): void;
}
interface ChartView {
  smooth: number;
  log: boolean;
  /** The steps that are looked at; null: all. */
  zoom: [number, number] | null;
  look(from: number | null, to: number | null): void;
}
interface Curves {
  step: number[];
  eval_step: number[];
  checkpoints: number[];
  whole: number;
  addMetric(event: any): void;
  addEval(event: any): void;
  addCheckpoint(event: any): void;
  restore(event: any): void;
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
  /** Values are amounts of memory. */
  bytes?: boolean;
  series: Line[];
  data: Columns;
  sync?: string;
  zoomed?: (from: number | null, to: number | null) => void;
}
type Field = HTMLTextAreaElement;
/** A field of any form: those of all kinds have a name, a kind and a value. */
type Control = HTMLInputElement & { options?: HTMLOptionsCollection };
/** The place of a turn, as a number or as its attribute has it; of a lost draft a word with it. */
type Turn = number | string;
type Timer = ReturnType<typeof setTimeout> | undefined;

// The strip of a mask preview: a run of like tokens holds nothing but these.
interface Token extends HTMLElement {
  parentElement: Run;
  previousElementSibling: Token | null;
  nextElementSibling: Token | null;
  textContent: string;
}
interface Run extends HTMLElement {
  firstElementChild: Token;
  lastElementChild: Token;
  children: HTMLCollectionOf<Token>;
  textContent: string;
}
/** How the letters of a message lie in its tokens: letters.data[i] is the runs' text[i + shift]. */
interface Passage {
  letters: Text;
  runs: Run[];
  starts: number[];
  shift: number;
}

// The playground.
type Side = "base" | "tuned";
interface Said {
  role: string;
  content: string;
}
interface Bubble {
  item: HTMLElement;
  article: HTMLElement;
  body: HTMLElement;
}

interface Toast {
  message: string;
  kind?: string;
  undo_url?: string;
  link_url?: string;
}
declare var lineChart: (element: HTMLElement, config: LineChartConfig) => LineChart;
declare var drawMarks: (plot: Plot, marks: Marks, colour: (name: string) => string) => void;
declare var chartControls: (element: HTMLElement, changed: () => void) => ChartView;
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
