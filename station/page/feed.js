// Server-sent events of the station (station/broadcaster.py). A lost connection becomes a technical alarm of the page.

const SILENT_MS = 6000; // three heartbeats of the server
const REOPEN_MS = 2000; // a browser closes an EventSource whose server was down; without this it stays closed
const CHECK_MS = 500;
const ADVICE = "alarms do not reach this screen. Watch the bedside monitors.";

export class Feed {
  // handlers: {snapshot(doc), alert(doc), bed(doc), vitals(doc), link(connected, message)}
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.receivedAt = performance.now();
    this.redisLost = null;
    this.open();
    setInterval(() => this.check(), CHECK_MS);
  }

  open() {
    this.source?.close();
    this.source = new EventSource(this.url);
    this.openedAt = performance.now();
    for (const kind of ["snapshot", "alert", "bed", "vitals"]) this.listen(kind, (doc) => this.handlers[kind](doc));
    this.listen("heartbeat", (doc) => { this.redisLost = doc.redis_lost; });
  }

  listen(kind, handler) {
    this.source.addEventListener(kind, (event) => {
      this.receivedAt = performance.now();
      handler(JSON.parse(event.data));
    });
  }

  check() {
    const now = performance.now();
    if (this.source.readyState === EventSource.CLOSED && now - this.openedAt > REOPEN_MS) this.open();
    const silentMs = now - this.receivedAt;
    if (silentMs > SILENT_MS) {
      const seconds = Math.round(silentMs / 1000);
      this.handlers.link(false, `No connection to the station server for ${seconds} s: ${ADVICE}`);
    } else if (this.redisLost) {
      this.handlers.link(false, `The station server has lost the alert store (${this.redisLost}): ${ADVICE}`);
    } else {
      this.handlers.link(true, "");
    }
  }
}
