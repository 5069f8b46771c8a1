// Events of the station (station/broadcaster.py), over one connection for all tabs, and what their absence means.

import { FeedConnection } from "./feed_connection.js";
import { getJson } from "./http.js";
import { serverClock } from "./server_clock.js";

const SILENT_MS = 3500; // three beats of the server
const CHECK_MS = 250;
const ANSWER_MS = 30000; // interval in which a tab tells the shared worker that it is there
const LAST = "last-event"; // key under which the browser keeps what it has received last
const SAVE_MS = 5000;

export class Feed {
  // query: of the events, such as "units=main/icu-3"; handlers: {snapshot(doc, fetched, last), alert(doc), bed(doc),
  // vitals(doc), unreadable(doc), link({silentMs, redisLost})}
  constructor(query, handlers) {
    this.query = query;
    this.handlers = handlers;
    this.receivedAt = performance.now();
    this.redisLost = null;
    this.last = readLast(); // {id, at}: the newest alert event, and the newest beat
    this.savedAt = 0;
    this.connect(new URL(`events${query ? `?${query}` : ""}`, document.baseURI).href);
    setInterval(() => this.check(), CHECK_MS);
  }

  connect(url) {
    if (typeof SharedWorker === "undefined") {
      this.shared = false;
      new FeedConnection(url, this.last.id, (kind, data, id) => this.receive({ kind, data, id }));
      return;
    }
    this.shared = true;
    const { port } = new SharedWorker(new URL("feed_worker.js", import.meta.url), { type: "module", name: url });
    port.onmessage = ({ data }) => this.receive(data);
    const announce = () => port.postMessage({ kind: "here", url, after: this.last.id });
    announce();
    setInterval(announce, ANSWER_MS);
    window.addEventListener("pagehide", () => port.postMessage({ kind: "bye", url, after: "" }));
    window.addEventListener("pageshow", (event) => event.persisted && announce());
  }

  receive({ kind, data, id }) {
    this.receivedAt = performance.now();
    if (kind === "joined") {
      this.fetchSnapshot();
      return;
    }
    const doc = JSON.parse(data);
    if (kind === "beat") this.beat(doc);
    else if (kind === "snapshot") this.snapshot(doc, false);
    else this.handlers[kind](doc);
    if (id) this.last.id = id;
  }

  beat(doc) {
    serverClock.sync(doc.at);
    this.redisLost = doc.redis_lost;
    this.last.at = doc.at;
    if (performance.now() - this.savedAt > SAVE_MS) {
      this.savedAt = performance.now();
      localStorage.setItem(LAST, JSON.stringify(this.last));
    }
  }

  snapshot(doc, fetched) {
    serverClock.sync(doc.at);
    this.handlers.snapshot(doc, fetched, this.last.at);
    this.last.at = doc.at;
  }

  async fetchSnapshot() {
    try {
      this.snapshot(await getJson(`api/snapshot${this.query ? `?${this.query}` : ""}`), true);
    } catch {
      setTimeout(() => this.fetchSnapshot(), 1000); // the beat says why
    }
  }

  check() {
    const silentMs = performance.now() - this.receivedAt;
    this.handlers.link({ silentMs: silentMs > SILENT_MS ? silentMs : 0, redisLost: this.redisLost });
  }
}

function readLast() {
  try {
    return JSON.parse(localStorage.getItem(LAST)) ?? { id: "", at: null };
  } catch {
    return { id: "", at: null };
  }
}
