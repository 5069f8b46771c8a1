// The sound of this screen. A browser allows sound only after a click or a key on the page, unless it is set to allow
// it: until then, and whenever the sound stops by itself, the page says over its full width that it is silent.

import { BURSTS, burstS, ESCALATED_GAP_S, FALL_S, RISE_S } from "./alarm_bursts.js";
import { outranks } from "./priority.js";

const CHECK_MS = 100;
const LEAD_S = 0.05; // pulses are scheduled this far ahead, so that the first one is complete
const HARMONICS = [0, 1, 0.6, 0.45, 0.35, 0.25, 0.15];
const LOUDEST = 0.5; // of full scale, so that the harmonics are not clipped
export const VOLUME_FLOOR = 0.3; // an alarm signal cannot be turned down to nothing
const VOLUME = "volume"; // keys under which the browser keeps the person's choice
const WANTED = "sound";
const STALLED_MS = 1500; // the audio clock stands still for longer: there is no sound

export class AlarmSound {
  // onChange(): `on` or `wanted` has changed
  constructor(onChange = () => {}) {
    this.onChange = onChange;
    this.context = null;
    this.priority = null; // of the alarm that sounds
    this.escalated = false;
    this.nextBurstS = 0;
    this.bursts = 0;
    this.volume = Math.max(VOLUME_FLOOR, Math.min(1, Number(localStorage.getItem(VOLUME) ?? 0.8) || 0.8));
    this.wanted = localStorage.getItem(WANTED) !== "off";
    this.clock = { s: 0, at: performance.now() };
    setInterval(() => this.check(), CHECK_MS);
    for (const kind of ["click", "keydown"]) {
      document.addEventListener(kind, () => this.wanted && !this.running && this.resume(), { capture: true });
    }
    if (this.wanted) this.resume(); // heard at once where the browser allows it
  }

  get running() {
    return this.context !== null && this.context.state === "running";
  }

  // Sound is wanted, allowed, and its clock runs.
  get on() {
    return this.wanted && this.running && performance.now() - this.clock.at < STALLED_MS;
  }

  async resume() {
    this.context ??= new AudioContext();
    this.wave ??= this.context.createPeriodicWave(new Float32Array(HARMONICS.length), new Float32Array(HARMONICS));
    this.context.onstatechange = () => this.onChange();
    try {
      await Promise.race([
        this.context.resume(),
        new Promise((resolve) => {
          setTimeout(resolve, 1000);
        }),
      ]);
    } catch {
      // not allowed yet: the sign stays
    }
    this.onChange();
  }

  async toggle() {
    this.wanted = !this.on;
    localStorage.setItem(WANTED, this.wanted ? "on" : "off");
    if (this.wanted) await this.resume();
    else await this.context?.suspend();
    this.onChange();
  }

  setVolume(volume) {
    this.volume = Math.max(VOLUME_FLOOR, Math.min(1, volume));
    localStorage.setItem(VOLUME, String(this.volume));
  }

  // One burst of a priority, also where no alarm sounds.
  async test(priority) {
    if (!this.running) await this.resume();
    if (this.running) this.schedule(priority, this.context.currentTime);
  }

  // The highest priority among the alarms that sound, or null; escalated: nobody has answered one of them. An alarm
  // that outranks the present one starts at once.
  setPriority(priority, escalated = false) {
    const audible = priority in BURSTS ? priority : null;
    if (outranks(audible, this.priority)) this.nextBurstS = 0;
    this.priority = audible;
    this.escalated = escalated;
  }

  check() {
    this.watchClock();
    if (!this.on || !this.priority) return;
    const now = this.context.currentTime;
    if (now < this.nextBurstS) return;
    const burst = BURSTS[this.priority];
    const gapS = this.escalated ? ESCALATED_GAP_S[this.priority] : burst.gapS;
    this.nextBurstS = now + burstS(burst) + gapS;
    this.bursts += 1;
    document.body.dataset.bursts = this.bursts;
    document.body.dataset.burst = this.priority;
    this.schedule(this.priority, now);
  }

  // A context that says that it runs while its clock stands still has lost its device.
  watchClock() {
    const s = this.context?.currentTime ?? 0;
    if (s !== this.clock.s) this.clock = { s, at: performance.now() };
    if (this.wasOn !== this.on) this.onChange();
    this.wasOn = this.on;
  }

  schedule(priority, now) {
    const burst = BURSTS[priority];
    const level = LOUDEST * (this.escalated ? 1 : this.volume);
    for (const onsetS of burst.onsetsS) this.schedulePulse(now + LEAD_S + onsetS, burst, level);
  }

  schedulePulse(startS, { pulseS, hz }, level) {
    const oscillator = this.context.createOscillator();
    const gain = this.context.createGain();
    oscillator.setPeriodicWave(this.wave);
    oscillator.frequency.value = hz;
    gain.gain.setValueAtTime(0, startS - RISE_S);
    gain.gain.linearRampToValueAtTime(level, startS);
    gain.gain.setValueAtTime(level, startS + pulseS);
    gain.gain.linearRampToValueAtTime(0, startS + pulseS + FALL_S);
    oscillator.connect(gain).connect(this.context.destination);
    oscillator.start(startS - RISE_S);
    oscillator.stop(startS + pulseS + FALL_S + 0.02);
  }
}
