/* Counters become rates: what each has grown by from one look to the next. */

const PAUSE = 2000; /* milliseconds between looks */
const MEAN = 5; /* looks that a rate which is shown is the mean of */

class Rates {
  constructor() {
    this.series = new Map();
    this.counts = null;
    this.at = 0;
  }

  /* counts: a Map of counters by name. at: milliseconds. */
  look(counts, at) {
    const seconds = (at - this.at) / 1000;
    const last = this.counts;
    /* Where they fall the agent was begun anew. */
    const isNew = !last || ['allowed', 'refused'].some((name) => counts.get(name) < last.get(name));
    for (const name of this.series.keys()) if (!counts.has(name)) this.series.delete(name);
    /* Nobody looked for a while, or there was no answer. */
    for (let missed = Math.min(POINTS, Math.round(1000 * seconds / PAUSE) - 1); last && missed > 0; missed--)
      for (const name of this.series.keys()) this.push(name, NaN);
    for (const [name, count] of counts) {
      const before = isNew ? undefined : last.get(name);
      const grown = count - before;
      this.push(name, grown >= 0 && seconds > 0 ? grown / seconds : NaN);
    }
    this.counts = counts;
    this.at = at;
  }

  push(name, rate) {
    if (!this.series.has(name)) this.series.set(name, []);
    const series = this.series.get(name);
    series.push(rate);
    if (series.length > POINTS) series.shift();
  }

  all(name) {
    return this.series.get(name) || [];
  }

  rate(name) {
    const known = this.all(name).slice(-MEAN).filter(Number.isFinite);
    return known.length ? known.reduce((sum, rate) => sum + rate, 0) / known.length : NaN;
  }
}

/* The duration that this share of the decisions took at most, from how the buckets of a histogram
 * have grown: within a bucket they are taken for spread evenly. */
function quantile(share, growths, bounds) {
  const total = growths[growths.length - 1];
  const wanted = share * total;
  const i = growths.findIndex((count) => count >= wanted);
  if (!(total > 0)) return NaN;
  if (i === bounds.length - 1) return Infinity; /* above all bounds */
  const below = i ? growths[i - 1] : 0;
  const from = i ? bounds[i - 1] : 0;
  return from + (bounds[i] - from) * (wanted - below) / (growths[i] - below);
}
