// Listens to the run and hands what comes to the parts of the page.

import { Timeline } from "./chart.js";
import { say, tellFigures, Tile } from "./parts.js";

const SILENT_MS = 6_000; // the server says something every two seconds
const RETRY_MS = [1_000, 2_000, 4_000, 5_000];
const WORDS = { connecting: "Connecting", live: "Connected", lost: "Connection lost", ended: "Ended" };
const NOTICES = {
  lost: "The connection is lost. Trying again…",
  ended: "The run has ended. These are its last figures; a new run at this address is shown by itself.",
  401: "This is another run, which needs its own address. See what edge run printed.",
  503: "As many viewers as possible are here already. Trying again…",
};

const holder = document.getElementById("sources");
const timeline = new Timeline(document.getElementById("timeline"), {
  at: document.getElementById("at"),
  reading: document.getElementById("reading"),
  title: document.getElementById("timeline-title"),
});
let run = { id: null, top_k: 5, span_s: 300 };
let tiles = [];
let before = new Map(); // what was told of sources and throttling, to say only what changed
let link = "connecting";
let stream = null;
let heardMs = 0;
let tries = 0;

function become(state, notice = NOTICES[state]) {
  if (link !== state && state !== "connecting") announce(notice ?? WORDS[state]);
  link = state;
  document.body.dataset.link = state;
  const pill = document.getElementById("link");
  pill.dataset.state = state;
  pill.textContent = WORDS[state];
  const banner = document.getElementById("notice");
  banner.hidden = !notice;
  banner.textContent = notice ?? "";
}

function announce(text) {
  document.getElementById("said").textContent = text;
}

const TAKERS = {
  alive: () => {},

  run(row) {
    if (row.id !== run.id) {
      tiles = [];
      holder.replaceChildren();
      before = new Map();
    }
    run = row;
    say("source", row.source);
    document.getElementById("source").title = row.source;
    say("with", `${row.model} on ${row.engine}`);
    document.title = `${row.source} · edge`;
  },

  snapshot(row) {
    placeTiles(row.sources.length);
    row.sources.forEach((source, place) => {
      tiles[place].tell(source, row.sources.length === 1);
      note(source.name, source.state, `${source.name}: ${source.state} ${source.problem}`);
    });
    const throttling = (row.board.throttling ?? []).join(", ");
    note("throttling", throttling, throttling ? `Throttled: ${throttling}` : "No longer throttled");
    tellFigures(row);
  },

  frame({ place, frame }) {
    tiles[place]?.take(frame);
  },

  points(points) {
    timeline.add(points);
  },

  ended() {
    stream.close();
    become("ended");
    tries = 0;
    again();
  },
};

function placeTiles(count) {
  while (tiles.length < count) tiles.push(new Tile(holder, tiles.length, run.top_k));
  holder.dataset.count = count;
}

function note(what, value, words) {
  if (before.has(what) && before.get(what) !== value) announce(words);
  before.set(what, value);
}

function connect() {
  stream = new EventSource("/events");
  stream.onopen = () => timeline.reset(run.span_s);
  stream.onerror = lose;
  for (const [kind, take] of Object.entries(TAKERS)) {
    stream.addEventListener(kind, (event) => {
      heardMs = performance.now();
      tries = 0;
      if (link !== "live") become("live", "");
      take(JSON.parse(event.data));
    });
  }
}

// Find out why, and come back.
async function lose() {
  stream.close();
  if (link !== "ended") become("lost");
  try {
    const { status } = await fetch("/events", { method: "HEAD" });
    if (status in NOTICES) become("lost", NOTICES[status]);
  } catch {
    // nobody answers, as was said
  }
  again();
}

function again() {
  setTimeout(connect, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
  tries += 1;
}

setInterval(() => {
  if (link === "live" && performance.now() - heardMs > SILENT_MS) lose();
}, 1_000);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const tile of tiles) tile.load();
});

if (location.search) history.replaceState(null, "", "/"); // the token lives in a cookie now
connect();
