// The live feed: one EventSource. Whatever is not heard for SILENT_MS is said on the page as a technical alarm.

const SILENT_MS = 6000; // the server speaks every 2 s: three missed beats are a lost connection
const RETRY_MS = 2000; // a browser gives up on an EventSource whose server was down: then it is opened anew

export class Feed {
  // on: {snapshot(doc), alert(doc), bed(doc), vitals(doc), link(state, words)}
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.heard = performance.now();
    this.redisLost = null;
    this.open();
    setInterval(() => this.look(), 500);
  }

  open() {
    this.source?.close();
    this.source = new EventSource(this.url);
    this.opened = performance.now();
    for (const type of ["snapshot", "alert", "bed", "vitals"]) {
      this.source.addEventListener(type, (event) => {
        this.heard = performance.now();
        this.on[type](JSON.parse(event.data));
      });
    }
    this.source.addEventListener("heartbeat", (event) => {
      this.heard = performance.now();
      this.redisLost = JSON.parse(event.data).redis_lost;
    });
  }

  look() {
    const silent = performance.now() - this.heard;
    if (this.source.readyState === EventSource.CLOSED && performance.now() - this.opened > RETRY_MS) this.open();
    if (silent > SILENT_MS) this.on.link("lost", `No connection to the station server for ${Math.round(silent / 1000)} s: alarms do not reach this screen. Watch the bedside monitors.`);
    else if (this.redisLost) this.on.link("lost", `The station server has lost the alert store (${this.redisLost}): alarms do not reach this screen. Watch the bedside monitors.`);
    else this.on.link("live", "");
  }
}

export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Station": "1" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `status ${answer.status}`);
  return answer.json();
}
