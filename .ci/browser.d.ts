// What static/js may rely on besides the browser. A selector says what kind of element it finds, and so does the page
// that an event comes from: neither is checked further. Names, arguments and our own objects are.

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
};

// What our scripts give each other: line-chart.js, job-events.js, conversation-drafts.js.
type Columns = (number | null)[][];
interface LineChart {
  setData(data: Columns): void;
  destroy(): void;
}
interface LineChartConfig {
  x: string;
  y?: string;
  height?: number;
  format?: (value: number) => string;
  series: { label: string; points?: boolean; width?: number; value?: string }[];
  data: Columns;
}
type Field = HTMLInputElement | HTMLTextAreaElement;
declare var lineChart: (element: HTMLElement, config: LineChartConfig) => LineChart;
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
