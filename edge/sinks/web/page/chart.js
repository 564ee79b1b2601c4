// The last minutes of a run as small charts over one axis of time, drawn by hand in SVG.

const SVG = "http://www.w3.org/2000/svg";
const EVERY_PX = 150; // at least, between two words under the axis
const LEFT_PX = 34; // for the words of the scale
const FOOT_PX = 18;
const TOP_PX = 6;
const MARK_PX = 8;
const SPANS_S = [60, 120]; // of a run that is younger than all that is kept
const MOST_TIMES = 4; // the scale is no more times the worst median

const KINDS = [
  { kind: "age", name: "End to end", of: (p) => p.age_p50_ms, most: (p) => p.age_max_ms,
    text: (p) => `${milliseconds(p.age_p50_ms)} ms · worst ${milliseconds(p.age_max_ms)} ms` },
  { kind: "power", name: "Power", of: (p) => watts(p.power_mw), text: (p) => `${watts(p.power_mw).toFixed(2)} W` },
  { kind: "heat", name: "Temperature", of: (p) => p.temperature_c, loose: true,
    text: (p) => `${p.temperature_c.toFixed(1)} °C` },
];

export function milliseconds(ms) {
  return ms === null ? "–" : ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

// Seconds in words: "45 s", "2.5 min".
function spell(seconds, small, large) {
  return seconds < 120 ? `${+seconds.toFixed(0)} ${small}` : `${+(seconds / 60).toFixed(1)} ${large}`;
}

function watts(mw) {
  return mw === null ? null : mw / 1000;
}

function element(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// A round number at or above a value, whose half is round too.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))];
}

// The ends of a scale. One bad second must not press a whole line flat: worst values may be cut off.
function scaleOf({ of, most, loose }, points) {
  const values = points.map(of).filter((value) => value !== null);
  if (!values.length) return [0, 1];
  if (loose) {
    const low = Math.floor((Math.min(...values) - 2) / 10) * 10;
    return [low, Math.max(low + 20, Math.ceil((Math.max(...values) + 2) / 10) * 10)];
  }
  const peaks = most ? points.map(most).filter((value) => value !== null) : values;
  const worst = Math.max(...values);
  return [0, roundUp(Math.max(worst * 1.1, Math.min(quantile(peaks, 0.9) * 1.1, MOST_TIMES * worst), 1e-3))];
}

class Chart {
  constructor(spec) {
    this.spec = spec;
    this.root = document.createElement("div");
    this.root.className = "chart";
    this.root.dataset.kind = spec.kind;
    const head = this.root.appendChild(document.createElement("div"));
    head.className = "head";
    const name = head.appendChild(document.createElement("span"));
    name.className = "name";
    name.textContent = spec.name;
    this.output = head.appendChild(document.createElement("output"));
    this.output.setAttribute("aria-live", "off");
    this.svg = this.root.appendChild(element("svg", { "aria-hidden": "true" }));
  }

  // `last` is whether the words under the axis are below this one.
  draw(points, span, last) {
    const values = points.map(this.spec.of);
    const isOff = !values.some((value) => value !== null);
    this.root.hidden = isOff; // the figures above say why
    this.svg.replaceChildren();
    if (isOff) return;
    const width = this.svg.clientWidth;
    const height = this.svg.clientHeight;
    const [low, high] = scaleOf(this.spec, points);
    const now = points.at(-1).elapsed_s;
    const bottom = height - (last ? FOOT_PX : 2);
    this.x = (s) => width - ((now - s) / span) * (width - LEFT_PX);
    const y = (value) => Math.max(TOP_PX - 4, bottom - ((value - low) / (high - low)) * (bottom - TOP_PX));
    this.drawScale({ width, bottom, low, high, y, isCut: this.isCut(points, high) });
    if (last) this.drawTimes(width, height, span);
    this.drawMarks(points, bottom);
    if (this.spec.most) this.drawBand(points, y);
    this.svg.append(element("path", { class: "line", d: this.path(points, (p) => this.spec.of(p), y) }));
    this.cursor = this.svg.appendChild(element("path", { class: "cursor" }));
    this.bottom = bottom;
  }

  isCut(points, high) {
    return Boolean(this.spec.most) && points.some((p) => this.spec.most(p) > high);
  }

  drawScale({ width, bottom, low, high, y, isCut }) {
    for (const value of [low, (low + high) / 2, high]) {
      const at = Math.round(y(value)) + 0.5;
      this.svg.append(element("path", { class: "grid", d: `M${LEFT_PX} ${at}H${width}` }));
      if (value !== low || low !== 0) this.write(`${+value.toPrecision(3)}${isCut && value === high ? "+" : ""}`, LEFT_PX - 6, Math.min(at + 4, bottom), "end");
    }
  }

  drawTimes(width, height, span) {
    const steps = Math.max(1, Math.min(5, Math.floor(width / EVERY_PX)));
    for (let step = 0; step <= steps; step += 1) {
      const ago = (span * step) / steps;
      const word = step === 0 ? "now" : `${spell(ago, "s", "min")} ago`;
      const anchor = step === 0 ? "end" : step === steps ? "start" : "middle";
      this.write(word, width - (ago / span) * (width - LEFT_PX), height - 2, anchor);
    }
  }

  drawMarks(points, bottom) {
    const every = (width) => Math.max(width, 2);
    let before = null;
    for (const point of points) {
      const x = this.x(point.elapsed_s);
      if (before !== null && (point.throttling.length || point.throttles > 0)) {
        this.svg.append(element("rect", { class: "throttled", x: before, y: TOP_PX, width: every(x - before), height: bottom - TOP_PX }));
      }
      if (point.reconnects > 0) this.svg.append(element("path", { class: "reconnected", d: `M${x} ${TOP_PX}V${bottom}` }));
      if (point.dropped > 0) this.svg.append(element("path", { class: "dropped", d: `M${x} ${bottom - MARK_PX}V${bottom}` }));
      before = x;
    }
  }

  drawBand(points, y) {
    for (const run of runs(points, this.spec.of)) {
      const there = run.map((p) => `${this.x(p.elapsed_s).toFixed(1)} ${y(this.spec.most(p)).toFixed(1)}`);
      const back = run.map((p) => `${this.x(p.elapsed_s).toFixed(1)} ${y(this.spec.of(p)).toFixed(1)}`).reverse();
      this.svg.append(element("path", { class: "band", d: `M${[...there, ...back].join("L")}Z` }));
    }
  }

  path(points, of, y) {
    return runs(points, of)
      .map((run) => `M${run.map((p) => `${this.x(p.elapsed_s).toFixed(1)} ${y(of(p)).toFixed(1)}`).join("L")}`)
      .join("");
  }

  write(text, x, y, anchor) {
    const made = this.svg.appendChild(element("text", { class: "scale", x, y, "text-anchor": anchor }));
    made.textContent = text;
  }

  say(point) {
    this.output.textContent = point && this.spec.of(point) !== null ? this.spec.text(point) : "–";
  }

  point(at) {
    this.cursor?.setAttribute("d", at ? `M${Math.round(this.x(at.elapsed_s)) + 0.5} ${TOP_PX}V${this.bottom}` : "");
  }
}

// Parts of the line without a gap; a single point is doubled, so that it is seen.
function runs(points, of) {
  const all = [[]];
  for (const point of points) {
    if (of(point) !== null) all.at(-1).push(point);
    else if (all.at(-1).length) all.push([]);
  }
  return all.filter((run) => run.length);
}

export class Timeline {
  constructor(root, { at, reading, title }) {
    this.points = [];
    this.most = 300;
    this.chosen = null;
    this.charts = KINDS.map((spec) => new Chart(spec));
    this.at = at;
    this.reading = reading;
    this.title = title;
    this.holder = root.querySelector("#charts");
    this.holder.append(...this.charts.map((chart) => chart.root));
    new ResizeObserver(() => this.draw()).observe(this.holder);
    this.holder.addEventListener("pointermove", (event) => this.choose(this.nearest(event)));
    this.holder.addEventListener("pointerleave", () => this.choose(null));
    root.addEventListener("keydown", (event) => this.step(event));
    root.addEventListener("blur", () => this.choose(null));
  }

  // `most` is how many seconds are kept.
  reset(most) {
    this.points = [];
    this.chosen = null;
    this.most = most;
    this.draw();
  }

  get span() {
    const age = this.points.length ? this.points.at(-1).elapsed_s - this.points[0].elapsed_s : 0;
    return SPANS_S.find((span) => age <= span) ?? this.most;
  }

  add(points) {
    this.points.push(...points);
    const newest = this.points.at(-1)?.elapsed_s;
    const isKept = (age) => age >= 0 && age <= this.most; // below 0: before the run began anew
    this.points = this.points.filter((point) => isKept(newest - point.elapsed_s));
    if (!this.points.includes(this.chosen)) this.chosen = null;
    this.draw();
  }

  draw() {
    const title = `Last ${spell(this.span, "seconds", "minutes")}`;
    if (this.title.textContent !== title) this.title.textContent = title;
    const last = this.charts.findLast((chart) => this.points.some((p) => chart.spec.of(p) !== null));
    for (const chart of this.charts) chart.draw(this.points, this.span, chart === last);
    this.say();
  }

  say() {
    const point = this.chosen ?? this.points.at(-1);
    for (const chart of this.charts) {
      chart.say(point);
      chart.point(this.chosen);
    }
    const marks = this.chosen ? words(this.chosen) : "";
    this.at.textContent = this.chosen ? `at ${clock(this.chosen.elapsed_s)}${marks}` : "";
  }

  choose(point) {
    this.chosen = point;
    this.say();
  }

  nearest(event) {
    const box = this.holder.getBoundingClientRect();
    const now = this.points.at(-1)?.elapsed_s ?? 0;
    const s = now - ((box.right - event.clientX) / (box.width - LEFT_PX)) * this.span;
    const distance = (point) => Math.abs(point.elapsed_s - s);
    return this.points.reduce((best, point) => (best && distance(best) <= distance(point) ? best : point), null);
  }

  step(event) {
    const last = this.points.length - 1;
    const here = this.chosen ? this.points.indexOf(this.chosen) : last;
    const next = { ArrowLeft: here - (this.chosen ? 1 : 0), ArrowRight: here + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.choose(null);
    if (next === undefined || last < 0) return;
    event.preventDefault();
    this.choose(this.points[Math.min(Math.max(next, 0), last)]);
    const shown = this.charts.filter((chart) => !chart.root.hidden);
    const figures = shown.map((chart) => `${chart.spec.name} ${chart.output.textContent}`);
    this.reading.textContent = `${this.at.textContent}: ${figures.join("; ")}`;
  }
}

function words(point) {
  const said = [];
  if (point.throttling.length) said.push(`throttled by ${point.throttling.join(", ")}`);
  else if (point.throttles > 0) said.push("throttled");
  if (point.reconnects > 0) said.push("reconnected");
  if (point.dropped > 0) said.push(`${point.dropped} dropped`);
  return said.length ? ` · ${said.join(" · ")}` : "";
}
