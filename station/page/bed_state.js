// What the page knows of one bed: its document, its newest vitals, and how old they are.

import { serverClock } from "./server_clock.js";

export const STALE_MS = 4000; // vitals come every second; after four missing ones no number is displayed
export const VERDICT_MS = 10000; // a verdict on older signal says nothing about the patient now
export const NOT_MONITORED = "NOT MONITORED";
export const NO_VALUES = "NO CURRENT VALUES";

export class BedState {
  constructor(key, doc) {
    this.key = key;
    this.doc = doc; // {site, bed_stream, unit, bed, …}; of the vitals alone until the bed's document comes
    this.vitals = null;
    this.receivedAt = -Infinity; // of the newest vitals, performance.now()
    this.judgedAt = performance.now(); // the newest verdict, on this page's own steady clock
  }

  get status() {
    return this.doc.status ?? "monitored";
  }

  get name() {
    return this.doc.unit && this.doc.bed ? `${this.doc.unit} · ${this.doc.bed}` : this.doc.bed_stream;
  }

  // ageMs: of vitals that were read from the store, not received as they came
  setVitals(vitals, ageMs = 0) {
    this.vitals = vitals;
    this.receivedAt = performance.now() - Math.max(0, ageMs);
    const verdict = vitals.judged_at ?? this.doc.since; // both are of the workers' clock, as vitals.at is
    if (verdict) this.judgedAt = this.receivedAt - Math.max(0, Date.parse(vitals.at) - Date.parse(verdict));
  }

  // "" while numbers are current; NOT_MONITORED, NO_VALUES, "standby" or "discharged" in place of them
  get state() {
    if (this.status !== "monitored") return this.status;
    const now = performance.now();
    if (now - this.judgedAt > VERDICT_MS) return NOT_MONITORED;
    return now - this.receivedAt > STALE_MS ? NO_VALUES : "";
  }

  get unjudgedMs() {
    return performance.now() - this.judgedAt;
  }

  // Milliseconds that the audio pause of this bed lasts yet, by the server's clock; 0: none.
  get pauseMs() {
    const until = this.doc.audio_paused_until ? Date.parse(this.doc.audio_paused_until) : 0;
    return Math.max(0, until - serverClock.now());
  }
}
