// One connection to the server-sent events of the station, opened again whenever it is lost. It runs in the page, or in
// the shared worker that all tabs of a browser share (feed_worker.js).

const STALLED_MS = 6000; // without a beat for this long the connection is a dead one, whatever the browser says
const REOPEN_MS = 1000;
const CHECK_MS = 500;
const KINDS = ["snapshot", "alert", "bed", "vitals", "unreadable", "beat"];

export class FeedConnection {
  // url: of the events; after: id of the last event that was received before; onEvent(kind, data, id)
  constructor(url, after, onEvent) {
    this.url = url;
    this.lastId = after;
    this.onEvent = onEvent;
    this.open();
    setInterval(() => this.check(), CHECK_MS);
  }

  open() {
    this.source?.close();
    const after = this.lastId ? `${this.url.includes("?") ? "&" : "?"}after=${encodeURIComponent(this.lastId)}` : "";
    this.source = new EventSource(this.url + after);
    this.openedAt = this.receivedAt = performance.now();
    for (const kind of KINDS) {
      this.source.addEventListener(kind, (event) => {
        this.receivedAt = performance.now();
        if (event.lastEventId) this.lastId = event.lastEventId;
        this.onEvent(kind, event.data, this.lastId);
      });
    }
  }

  check() {
    const now = performance.now();
    const closed = this.source.readyState === EventSource.CLOSED && now - this.openedAt > REOPEN_MS;
    if (closed || now - this.receivedAt > STALLED_MS) this.open();
  }
}
