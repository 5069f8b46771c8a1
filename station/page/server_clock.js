// The time of the station's server. The clock of the computer at which the page is shown decides nothing.

const KEPT_BEATS = 20; // the beat that travelled fastest among these tells the offset best
const JUMP_MS = 2000; // a larger change is a clock that was set

export class ServerClock {
  constructor() {
    this.offsets = []; // server time less performance.now(), ms
  }

  // at: RFC 3339 time of a beat that has just arrived
  sync(at) {
    const offset = Date.parse(at) - performance.now();
    if (Number.isNaN(offset)) return;
    if (this.offsets.length && Math.abs(offset - this.best) > JUMP_MS) this.offsets = [];
    this.offsets.push(offset);
    if (this.offsets.length > KEPT_BEATS) this.offsets.shift();
  }

  get best() {
    return Math.max(...this.offsets);
  }

  get synced() {
    return this.offsets.length > 0;
  }

  // Milliseconds since 1970; of this computer until the first beat.
  now() {
    return this.synced ? performance.now() + this.best : Date.now();
  }
}

export const serverClock = new ServerClock();
