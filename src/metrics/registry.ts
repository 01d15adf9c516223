import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DurationHistogram } from './counters.js';

/** One value of a metric with its labels. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric as people are told about it. */
export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
}

/** A counter that is kept elsewhere, split by one label. */
interface CountsByLabel {
  entries(): Iterable<readonly [string, number]>;
}

const PREFIX = 'switchyard_';

/**
 * The metrics of one proxy. Nothing is kept here: every metric is read from its owner when it is scraped, so it costs nothing between
 * two scrapes, and a label that its owner has forgotten is gone from the next one.
 */
export class MetricsRegistry {
  readonly #registry = new Registry();
  readonly #descriptions: MetricDescription[] = [];

  /** For metrics that are not ours, such as those of the process. */
  get registry(): Registry {
    return this.#registry;
  }

  /** Our own metrics, in the order in which they were added. */
  get descriptions(): readonly MetricDescription[] {
    return this.#descriptions;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything in Prometheus's text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** A gauge without labels; `read` gives null when there is nothing to say. */
  gauge(name: string, help: string, read: () => number | null): void {
    this.#describe('gauge', name, help, []);
    this.#registry.registerMetric(
      new Gauge({
        name: PREFIX + name,
        help,
        registers: [],
        collect() {
          const value = read();
          if (value === null) this.remove();
          else this.set(value);
        },
      }),
    );
  }

  /** A gauge with labels; what `read` does not give is not there. */
  gauges(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Series>): void {
    this.#describe('gauge', name, help, labelNames);
    this.#registry.registerMetric(
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames,
        registers: [],
        collect() {
          this.reset();
          for (const { labels, value } of read()) this.set(labels, value);
        },
      }),
    );
  }

  counter(name: string, help: string, read: () => number): void {
    this.#describe('counter', name, help, []);
    this.#registry.registerMetric(
      new Counter({
        name: PREFIX + name,
        help,
        registers: [],
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    );
  }

  /**
   * A counter split by one label. `known` values are there from the start with 0: a counter that begins to exist with its first event
   * hides that event from `increase()`.
   */
  counters(name: string, help: string, label: string, counts: CountsByLabel, known: readonly string[]): void {
    this.countersBy(name, help, [label], function* () {
      for (const value of known) yield { labels: { [label]: value }, value: 0 };
      for (const [value, count] of counts.entries()) yield { labels: { [label]: value }, value: count };
    });
  }

  /** A counter split by several labels, each with a closed set of values; `read` gives what is known from the start with 0 too. */
  countersBy(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Series>): void {
    this.#describe('counter', name, help, labelNames);
    this.#registry.registerMetric(
      new Counter({
        name: PREFIX + name,
        help,
        labelNames,
        registers: [],
        collect() {
          this.reset();
          for (const { labels, value } of read()) this.inc(labels, value);
        },
      }),
    );
  }

  histogram(name: string, help: string, source: DurationHistogram): void {
    this.#describe('histogram', name, help, []);
    this.#registry.registerMetric(new HistogramView(PREFIX + name, help, [{ labels: {}, source }]));
  }

  /** A histogram split by one label with a closed set of values. */
  histograms(name: string, help: string, label: string, sources: ReadonlyMap<string, DurationHistogram>): void {
    this.#describe('histogram', name, help, [label]);
    const split = [...sources].map(([value, source]) => ({ labels: { [label]: value }, source }));
    this.#registry.registerMetric(new HistogramView(PREFIX + name, help, split));
  }

  #describe(type: MetricDescription['type'], name: string, help: string, labels: readonly string[]): void {
    this.#descriptions.push({ name: PREFIX + name, help, type, labels });
  }
}

type HistogramAnswer = Awaited<ReturnType<Histogram['get']>>;

interface HistogramSource {
  readonly labels: Readonly<Record<string, string>>;
  readonly source: DurationHistogram;
}

/** Shows a histogram that is kept elsewhere: prom-client's own cannot be set, only added to. */
class HistogramView extends Histogram {
  readonly #sources: readonly HistogramSource[];
  readonly #name: string;
  readonly #help: string;

  constructor(name: string, help: string, sources: readonly HistogramSource[]) {
    super({ name, help, registers: [], buckets: [...(sources[0]?.source.boundsS ?? [])] });
    this.#sources = sources;
    this.#name = name;
    this.#help = help;
  }

  override async get(): Promise<HistogramAnswer> {
    const values: HistogramAnswer['values'] = [];
    for (const { labels, source } of this.#sources) {
      const { boundsS, counts, sumS } = source;
      const add = (suffix: string, more: Record<string, string | number>, value: number): void => {
        values.push({ labels: { ...more, ...labels }, value, metricName: `${this.#name}_${suffix}` });
      };
      let sum = 0;
      for (const [index, count] of counts.entries()) {
        sum += count;
        add('bucket', { le: boundsS[index] ?? '+Inf' }, sum);
      }
      add('sum', {}, sumS);
      add('count', {}, sum);
    }
    // The declarations have an enum here, the program has the word.
    const type = 'histogram' as unknown as HistogramAnswer['type'];
    return { name: this.#name, help: this.#help, type, aggregator: 'sum', collect: () => {}, values };
  }

  /** The registry takes this instead of `get` where it is there. */
  getForPromString(): Promise<HistogramAnswer> {
    return this.get();
  }
}
