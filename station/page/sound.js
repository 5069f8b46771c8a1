// Alarm bursts of IEC 60601-1-8: ten pulses for high, three for medium, two for low, each with harmonics up to 4 kHz.
// A browser lets a page sound only after a gesture of the person: until then the page says that it is silent.

const PULSES_S = {
  PH: [0, 0.2, 0.4, 0.75, 0.95, 1.55, 1.75, 1.95, 2.3, 2.5], // 3 + 2, a pause, 3 + 2
  PM: [0, 0.3, 0.6],
  PL: [0, 0.35],
};
const EVERY_S = { PH: 6, PM: 14, PL: 25 }; // from the start of one burst to the next
const NOTE_HZ = { PH: 523.25, PM: 440, PL: 349.23 };
const LENGTH_S = { PH: 0.13, PM: 0.2, PL: 0.22 };

export class Sound {
  constructor() {
    this.context = null;
    this.priority = null;
    this.next = 0;
    setInterval(() => this.look(), 100);
  }

  get on() {
    return this.context !== null && this.context.state === "running";
  }

  async toggle() {
    if (this.on) return this.context.suspend();
    this.context ??= new AudioContext();
    this.wave ??= this.context.createPeriodicWave(new Float32Array(7), new Float32Array([0, 1, 0.6, 0.45, 0.35, 0.25, 0.15]));
    return this.context.resume();
  }

  // The worst priority that sounds now, or null.
  want(priority) {
    const worse = priority && (!this.priority || "PH PM PL".indexOf(priority) < "PH PM PL".indexOf(this.priority));
    if (worse) this.next = 0; // a worse alarm does not wait for the rest of a lesser one's pause
    this.priority = priority in PULSES_S ? priority : null;
  }

  look() {
    if (!this.on || !this.priority) return;
    const now = this.context.currentTime;
    if (now < this.next) return;
    this.next = now + EVERY_S[this.priority];
    document.body.dataset.bursts = Number(document.body.dataset.bursts ?? 0) + 1;
    for (const at of PULSES_S[this.priority]) this.pulse(now + 0.05 + at, LENGTH_S[this.priority], NOTE_HZ[this.priority]);
  }

  pulse(at, length, hz) {
    const note = this.context.createOscillator();
    const level = this.context.createGain();
    note.setPeriodicWave(this.wave);
    note.frequency.value = hz;
    level.gain.setValueAtTime(0, at);
    level.gain.linearRampToValueAtTime(0.35, at + 0.02); // rise time of at least a tenth of the pulse
    level.gain.setValueAtTime(0.35, at + length - 0.03);
    level.gain.linearRampToValueAtTime(0, at + length);
    note.connect(level).connect(this.context.destination);
    note.start(at);
    note.stop(at + length + 0.02);
  }
}
