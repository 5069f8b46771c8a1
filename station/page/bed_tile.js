// The tile of one bed: heart rate, rhythm, live trace, and a banner with its highest-ranked alarm.

import { element } from "./element.js";
import { Trace } from "./trace.js";

const STALE_MS = 4000; // vitals come every second; after four missing ones no number is displayed
const VERDICT_MS = 10000; // a verdict on older signal says nothing about the patient now
const NO_VALUE = "–";
const RHYTHM_LABELS = { sinus: "Sinus rhythm", af: "Atrial fibrillation", paced: "Paced", irregular: "Irregular" };

export class BedTile {
  constructor(bedStream, { unit, bed }, onAlarm) {
    this.bedStream = bedStream;
    this.receivedAt = -Infinity;
    this.unjudgedSince = performance.now(); // the newest verdict, by this page's clock
    this.status = "monitored";
    this.note = element("span", { class: "quiet" });
    this.hr = element("span", { class: "hr" }, NO_VALUE);
    this.rhythm = element("p", { class: "rhythm" });
    const onclick = () => this.banner.dataset.alert && onAlarm(this.banner.dataset.alert);
    this.banner = element("button", { class: "banner alarm", type: "button", disabled: true, onclick }, "No alarms");
    const canvas = element("canvas", { "aria-hidden": "true" });
    this.trace = new Trace(canvas);
    this.root = element("article", { class: "bed", "data-bed": bedStream, "aria-label": `bed ${bedStream}` },
      element("header", {}, element("h3", {}, unit && bed ? `${unit} · ${bed}` : bedStream), this.note),
      element("p", { class: "rate" }, this.hr, element("span", { class: "hr-unit" }, "bpm")),
      this.rhythm, canvas, this.banner);
  }

  updateBed(bed) {
    this.root.dataset.status = this.status = bed.status;
    this.since = bed.since;
    const paused = bed.audio_paused_until && Date.parse(bed.audio_paused_until) > Date.now();
    if (bed.status === "monitored") this.note.textContent = paused ? "audio paused" : "";
    else this.note.textContent = bed.status;
  }

  updateVitals(vitals) {
    this.receivedAt = performance.now();
    const verdict = vitals.judged_at ?? this.since; // both are of the server's clock, as vitals.at is
    if (verdict) this.unjudgedSince = this.receivedAt - Math.max(0, Date.parse(vitals.at) - Date.parse(verdict));
    if (vitals.wave) this.trace.push(vitals.wave);
    this.hr.textContent = vitals.hr === null ? NO_VALUE : Math.round(vitals.hr);
    const parts = [];
    if (vitals.rhythm) parts.push(RHYTHM_LABELS[vitals.rhythm] ?? vitals.rhythm);
    if (vitals.pvc_per_min) parts.push(`${Math.round(vitals.pvc_per_min)} PVC/min`);
    if (vitals.wave) parts.push(`lead ${vitals.wave.lead}`);
    this.rhythm.textContent = parts.join(" · ");
    this.displayState();
  }

  // "" while numbers are current, else the words in place of them
  get state() {
    const now = performance.now();
    if (this.status === "monitored" && now - this.unjudgedSince > VERDICT_MS) return "NOT MONITORED";
    return now - this.receivedAt > STALE_MS ? "no telemetry" : "";
  }

  displayState() {
    const { state } = this;
    this.root.dataset.stale = state !== "";
    this.root.dataset.monitored = state !== "NOT MONITORED";
    if (!state || this.rhythm.textContent === state) return;
    this.hr.textContent = NO_VALUE;
    this.rhythm.textContent = state;
  }

  // open: the bed's open alerts, the one for the banner first
  updateAlarm(open) {
    const [alert] = open;
    const { banner } = this;
    banner.disabled = !alert;
    banner.dataset.alert = alert ? alert.id : "";
    const more = open.length > 1 ? `+${open.length - 1}` : "";
    banner.replaceChildren(alert ? alert.title : "No alarms", element("small", {}, more));
    banner.dataset.flash = Boolean(alert) && alert.state !== "acknowledged";
    for (const coloured of [banner, this.root]) {
      if (alert) coloured.dataset.priority = alert.priority;
      else delete coloured.dataset.priority;
    }
  }

  animate(colour) {
    this.displayState();
    if (performance.now() - this.receivedAt <= STALE_MS) this.trace.draw(colour);
  }
}
