// Auditory alarm signals of IEC 60601-1-8: bursts of ten pulses for high priority, three for medium, two for low, each
// pulse with harmonics up to 4 kHz. A browser allows sound only after a click or a key on the page.

import { outranks } from "./priority.js";

const CHECK_MS = 100;
const LEAD_S = 0.05; // pulses are scheduled this far ahead, so that the first one is complete
const RISE_S = 0.02; // at least a tenth of the pulse
const FALL_S = 0.03;
const LEVEL = 0.35;
const HARMONICS = [0, 1, 0.6, 0.45, 0.35, 0.25, 0.15];
// onsetsS: of the pulses in a burst; intervalS: from the start of one burst to the next.
const BURSTS = {
  PH: { onsetsS: [0, 0.2, 0.4, 0.75, 0.95, 1.55, 1.75, 1.95, 2.3, 2.5], intervalS: 6, hz: 523.25, pulseS: 0.13 },
  PM: { onsetsS: [0, 0.3, 0.6], intervalS: 14, hz: 440, pulseS: 0.2 },
  PL: { onsetsS: [0, 0.35], intervalS: 25, hz: 349.23, pulseS: 0.22 },
};

export class AlarmSound {
  constructor() {
    this.context = null;
    this.priority = null; // of the alarm that sounds
    this.nextBurstS = 0;
    setInterval(() => this.check(), CHECK_MS);
  }

  get on() {
    return this.context !== null && this.context.state === "running";
  }

  async toggle() {
    if (this.on) return this.context.suspend();
    this.context ??= new AudioContext();
    this.wave ??= this.context.createPeriodicWave(new Float32Array(HARMONICS.length), new Float32Array(HARMONICS));
    return this.context.resume();
  }

  // The highest priority among the alarms that sound, or null. An alarm that outranks the present one starts at once.
  setPriority(priority) {
    const audible = priority in BURSTS ? priority : null;
    if (outranks(audible, this.priority)) this.nextBurstS = 0;
    this.priority = audible;
  }

  check() {
    if (!this.on || !this.priority) return;
    const now = this.context.currentTime;
    if (now < this.nextBurstS) return;
    const burst = BURSTS[this.priority];
    this.nextBurstS = now + burst.intervalS;
    document.body.dataset.bursts = Number(document.body.dataset.bursts ?? 0) + 1;
    for (const onsetS of burst.onsetsS) this.schedulePulse(now + LEAD_S + onsetS, burst);
  }

  schedulePulse(startS, { pulseS, hz }) {
    const oscillator = this.context.createOscillator();
    const gain = this.context.createGain();
    oscillator.setPeriodicWave(this.wave);
    oscillator.frequency.value = hz;
    gain.gain.setValueAtTime(0, startS);
    gain.gain.linearRampToValueAtTime(LEVEL, startS + RISE_S);
    gain.gain.setValueAtTime(LEVEL, startS + pulseS - FALL_S);
    gain.gain.linearRampToValueAtTime(0, startS + pulseS);
    oscillator.connect(gain).connect(this.context.destination);
    oscillator.start(startS);
    oscillator.stop(startS + pulseS + 0.02);
  }
}
