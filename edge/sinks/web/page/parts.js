// The parts of the page that show the newest figures: tiles of sources, figures, tables.

import { clock, milliseconds } from "./chart.js";

const STAGES = {
  capture: "capture", decode: "decode", wait: "wait", preprocess: "preprocess", infer: "infer",
  post: "post", sink: "sinks", end_to_end: "end to end",
};
const PERCENTILES = ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"];
const LEAST_RATIO = 1.25; // of width to height, so that no picture takes the page
const MOST_RATIO = 1.8;
const WIDE = new Set(["p90_ms", "p999_ms"]);
const ODD = [
  ["dropped", "dropped", "dropped"], ["unreadable", "unreadable", "unreadable"],
  ["duplicates", "duplicate", "duplicates"], ["out_of_order", "out of order", "out of order"],
  ["stalls", "stall", "stalls"], ["reconnects", "reconnect", "reconnects"],
];
const LONG_NAME = 24;
const KEPT_ROWS = 8; // guesses of pictures that are on their way

export const percent = (p) => `${(100 * p).toFixed(1)} %`;
const whole = (count) => count.toLocaleString("en").replaceAll(",", "\u202f");
const joined = (facts) => facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join(" · ");
const byId = (id) => document.getElementById(id);

export function say(id, text) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}

function make(parent, tag, className = "", text = "") {
  const made = parent.appendChild(document.createElement(tag));
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

// One source: its picture with the guesses that belong to it.
export class Tile {
  constructor(parent, place, rows) {
    this.place = place;
    this.root = make(parent, "article", "card source");
    this.picture = make(this.root, "div", "picture");
    this.canvas = make(this.picture, "canvas");
    this.canvas.setAttribute("role", "img");
    this.message = make(this.picture, "p", "", "no picture yet");
    const told = make(this.root, "div", "told");
    const who = make(told, "div", "who");
    this.name = make(who, "h2");
    this.state = make(who, "span", "pill");
    const list = make(told, "ol", "guesses");
    this.rows = Array.from({ length: rows }, () => this.makeRow(list));
    this.facts = make(told, "p", "facts");
    this.frames = new Map();
    this.newest = null;
    this.shown = null;
    this.isLoading = false;
  }

  makeRow(list) {
    const item = make(list, "li");
    const label = make(item, "span", "label", "\u00a0");
    const share = make(item, "span", "share");
    const fill = make(make(item, "div", "track"), "div", "fill");
    return { label, share, fill };
  }

  // The name of an only source stands at the top of the page.
  tell(source, isOnly) {
    this.root.dataset.state = source.state;
    this.name.textContent = isOnly ? "Best guesses" : shorten(source.name);
    if (isOnly && source.size && !this.picture.style.aspectRatio) {
      const ratio = source.size[0] / source.size[1];
      this.picture.style.aspectRatio = Math.min(Math.max(ratio, LEAST_RATIO), MOST_RATIO);
    }
    this.name.title = source.name;
    this.state.textContent = source.state;
    this.state.dataset.state = source.state;
    const isQuiet = source.state === "live" && this.shown !== null;
    this.message.textContent = isQuiet ? "" : source.problem || (source.state === "ended" ? "" : "no picture yet");
    const facts = source.size ? [`${source.size[0]} × ${source.size[1]}`] : [];
    if (source.frames) facts.push(`${source.fps.toFixed(1)} fps`, `p50 ${milliseconds(source.age.p50_ms)} ms`, `p99 ${milliseconds(source.age.p99_ms)} ms`);
    facts.push(`${whole(source.frames)} frames`, ...oddities(source));
    this.facts.textContent = joined(facts);
  }

  take(frame) {
    this.newest = frame;
    this.frames.set(frame.seq, frame);
    if (this.frames.size > KEPT_ROWS) this.frames.delete(this.frames.keys().next().value);
    if (frame.seq === this.shown) this.tellGuesses(frame);
    if (!document.hidden) this.load();
  }

  // One request at a time; what came meanwhile is the next one.
  async load() {
    if (this.isLoading || this.newest === null || this.newest.seq === this.shown) return;
    this.isLoading = true;
    const wanted = this.newest;
    try {
      const answer = await fetch(`/pictures/${this.place}`, { signal: AbortSignal.timeout(10_000) });
      if (answer.ok) await this.show(answer);
      else this.tellGuesses(wanted);
    } catch {
      this.tellGuesses(wanted); // the stream of events tells whether the connection is gone
    }
    this.isLoading = false;
    if (this.newest !== wanted && !document.hidden) this.load();
  }

  async show(answer) {
    const seq = Number(answer.headers.get("Edge-Seq"));
    const bitmap = await createImageBitmap(await answer.blob());
    if (this.canvas.width !== bitmap.width) this.canvas.width = bitmap.width;
    if (this.canvas.height !== bitmap.height) this.canvas.height = bitmap.height;
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    this.shown = seq;
    this.message.textContent = "";
    const frame = this.frames.get(seq);
    if (frame) this.tellGuesses(frame);
  }

  tellGuesses(frame) {
    this.rows.forEach((row, place) => {
      const guess = frame.top[place];
      row.label.textContent = guess ? guess.label : "\u00a0";
      row.label.title = guess ? guess.label : "";
      row.share.textContent = guess ? percent(guess.p) : "";
      row.fill.style.transform = `scaleX(${guess ? guess.p : 0})`;
    });
    const best = frame.top[0];
    this.canvas.setAttribute("aria-label", best ? `Picture, seen as ${best.label}` : "Picture");
  }
}

// A long path is known by its end.
function shorten(name) {
  const isPath = name.startsWith("/") && name.length > LONG_NAME;
  return isPath ? `…/${name.split("/").at(-1)}` : name;
}

function oddities(counts) {
  return ODD.filter(([field]) => counts[field])
    .map(([field, one, many]) => `${whole(counts[field])} ${counts[field] === 1 ? one : many}`);
}

export function tellFigures(row) {
  const age = row.stages.end_to_end;
  say("elapsed", clock(row.elapsed_s));
  say("fps", row.fps.toFixed(1));
  say("counts", joined([`${whole(row.frames)} frames`, ...oddities(totals(row))]));
  say("age", row.frames ? milliseconds(age.p50_ms) : "–");
  say("ages", row.frames ? joined(["median", `p99 ${milliseconds(age.p99_ms)} ms`, `max ${milliseconds(age.max_ms)} ms`]) : "no frame yet");
  tellPower(row);
  tellBoard(row.board);
  tellStages(row);
  tellMachine(row);
}

function totals(row) {
  const sums = { dropped: row.dropped, unreadable: row.unreadable };
  for (const [field] of ODD.slice(2)) sums[field] = row.sources.reduce((sum, source) => sum + source[field], 0);
  return sums;
}

function tellPower({ power, energy_per_frame_j: perFrame }) {
  if ("unavailable" in power) {
    say("power", "–");
    say("energy", power.unavailable);
    return;
  }
  say("power", (power.power_mw / 1000).toFixed(2));
  const each = perFrame === null ? [] : [`${energy(perFrame)} a frame`];
  say("energy", joined([...each, `mean ${(power.mean_mw / 1000).toFixed(2)} W`, power.total]));
}

function energy(joules) {
  return joules < 1 ? `${(1000 * joules).toPrecision(3)} mJ` : `${joules.toPrecision(3)} J`;
}

function hottest(board) {
  const zones = Object.entries(board.temperatures_c ?? {});
  return zones.reduce((best, zone) => (best && best[1] >= zone[1] ? best : zone), null);
}

function tellBoard(board) {
  const hot = hottest(board);
  const isThrottled = Boolean(board.throttling?.length);
  say("heat", hot ? hot[1].toFixed(1) : "–");
  byId("mode").classList.toggle("alert", isThrottled);
  if ("unavailable" in board) say("mode", board.unavailable);
  else if (isThrottled) say("mode", `Throttled: ${board.throttling.join(", ")}`);
  else say("mode", [hot ? hot[0] : "no zone tells", board.mode].filter(Boolean).join(" · "));
}

function tellStages({ stages, frames }) {
  const body = byId("stages");
  if (!body.children.length) {
    for (const [name, title] of Object.entries(STAGES)) {
      const line = make(body, "tr");
      line.dataset.stage = name;
      make(line, "th", "", title).scope = "row";
      for (const field of PERCENTILES) make(line, "td", WIDE.has(field) ? "wide" : "");
    }
  }
  for (const line of body.children) {
    PERCENTILES.forEach((field, place) => {
      line.children[place + 1].textContent = frames ? stages[line.dataset.stage][field].toFixed(2) : "–";
    });
  }
}

function tellMachine({ power, board }) {
  const lines = new Map();
  if (board.mode) lines.set("power mode", board.mode);
  if (isTold(board.locked)) lines.set("clocks held", board.locked ? "yes" : "no");
  if (isTold(board.gpu_load)) lines.set("GPU load", percent(board.gpu_load));
  for (const [name, value] of speeds(board.clocks ?? [])) lines.set(name, value);
  if (isTold(board.throttles)) lines.set("throttled", ["never", "once"][board.throttles] ?? `${board.throttles} times`);
  if (isTold(power.energy_j)) lines.set("energy", `${power.energy_j.toFixed(power.energy_j < 100 ? 1 : 0)} J`);
  if (isTold(power.idle_mw)) lines.set("idle power", watts(power.idle_mw));
  tellLines(byId("machine"), lines);

  const readings = new Map();
  for (const [rail, mw] of Object.entries(power.rails_mw ?? {})) readings.set(rail, watts(mw));
  for (const [zone, c] of Object.entries(board.temperatures_c ?? {})) readings.set(zone, `${c.toFixed(1)} °C`);
  tellLines(byId("readings"), readings);
}

function isTold(value) {
  return value !== null && value !== undefined;
}

function watts(mw) {
  return mw === null ? "–" : `${(mw / 1000).toFixed(2)} W`;
}

// Name and value of each line; a line that is there once stays, so that nothing jumps.
function tellLines(list, lines) {
  for (const [name, value] of lines) {
    const line = [...list.children].find((one) => one.dataset.name === name) ?? makeLine(list, name);
    if (line.lastChild.textContent !== value) line.lastChild.textContent = value;
  }
  for (const line of list.children) if (!lines.has(line.dataset.name)) line.lastChild.textContent = "–";
  list.parentElement.hidden = !list.children.length;
}

function makeLine(list, name) {
  const line = make(list, "div");
  line.dataset.name = name;
  make(line, "dt", "", name);
  make(line, "dd");
  return line;
}

// Cores that run alike are one line.
function* speeds(clocks) {
  const cores = clocks.filter((one) => /^cpu\d+$/.test(one.name));
  const others = clocks.filter((one) => !cores.includes(one));
  if (cores.length) {
    const mhz = cores.map((one) => one.mhz);
    const [least, most] = [Math.min(...mhz), Math.max(...mhz)].map((value) => value.toFixed(0));
    const top = Math.max(...cores.map((one) => one.max_mhz ?? 0));
    yield [`${cores.length} CPU cores`, `${least === most ? least : `${least} to ${most}`}${top ? ` of ${top.toFixed(0)}` : ""} MHz`];
  }
  for (const one of others) {
    yield [`${one.name} clock`, `${one.mhz.toFixed(0)}${one.max_mhz === null ? "" : ` of ${one.max_mhz.toFixed(0)}`} MHz`];
  }
}
