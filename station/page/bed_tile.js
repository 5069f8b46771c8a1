// The tile of one bed: heart rate, rhythm, live trace, and a banner with the alarm that needs someone first.

import { badge } from "./badge.js";
import { NOT_MONITORED, STALE_MS } from "./bed_state.js";
import { element } from "./element.js";
import { countdown, sinceOnset, stateWord } from "./labels.js";
import { finding } from "./measures.js";
import { Trace } from "./trace.js";
import { isOver } from "./urgency.js";

const NO_VALUE = "–";
const RHYTHM_LABELS = { sinus: "Sinus rhythm", af: "Atrial fibrillation", paced: "Paced", irregular: "Irregular" };
const STATUS_WORDS = { standby: "STANDBY", discharged: "DISCHARGED" };

export class BedTile {
  // handlers: {open(bed), alarm(alert)}
  constructor(bed, handlers) {
    this.bed = bed;
    this.alert = null;
    this.name = element("span", { class: "name" });
    this.patient = element("span", { class: "patient" });
    const onopen = () => handlers.open(this.bed);
    this.opener = element("button", { class: "opener", type: "button", onclick: onopen }, this.name, this.patient);
    this.note = element("p", { class: "note" });
    this.hr = element("span", { class: "hr" }, NO_VALUE);
    this.rhythm = element("p", { class: "rhythm" });
    this.scale = element("span", { class: "scale" });
    const canvas = element("canvas", { "aria-hidden": "true" });
    this.trace = new Trace(canvas, (mv) => {
      this.scale.textContent = `±${mv} mV`;
    });
    const onclick = () => this.alert && handlers.alarm(this.alert);
    this.banner = element("button", { class: "banner alarm", type: "button", onclick });
    this.root = element(
      "article",
      { class: "bed", "data-bed": bed.doc.bed_stream, "data-item": bed.key },
      element("header", {}, this.opener, this.note),
      element("p", { class: "rate" }, this.hr, element("span", { class: "hr-unit" }, "bpm")),
      this.rhythm,
      element("div", { class: "wave" }, canvas, this.scale),
      this.banner,
    );
    this.drawBanner([]);
    this.update();
  }

  update() {
    const { doc } = this.bed;
    setText(this.name, this.bed.name);
    setText(this.patient, doc.patient ?? "");
    this.root.dataset.status = this.bed.status;
    this.displayState();
  }

  updateVitals() {
    const { vitals } = this.bed;
    if (vitals.wave) this.trace.push(vitals.wave);
    this.displayState();
  }

  displayState() {
    const { state, vitals, pauseMs } = this.bed;
    this.root.dataset.stale = state !== "";
    this.root.dataset.monitored = state !== NOT_MONITORED;
    setText(this.note, pauseMs > 0 ? `audio paused ${countdown(pauseMs)}` : "");
    if (state || !vitals) {
      setText(this.hr, NO_VALUE);
      setText(this.rhythm, STATUS_WORDS[state] ?? (state || "waiting for values"));
      return;
    }
    setText(this.hr, vitals.hr === null ? NO_VALUE : String(Math.round(vitals.hr)));
    const parts = [];
    if (vitals.rhythm) parts.push(RHYTHM_LABELS[vitals.rhythm] ?? vitals.rhythm);
    if (vitals.pvc_per_min) parts.push(`${Math.round(vitals.pvc_per_min)} PVC/min`);
    if (vitals.wave) parts.push(`lead ${vitals.wave.lead}`);
    setText(this.rhythm, parts.join(" · "));
  }

  // all: the bed's open alerts, the one for the banner first
  drawBanner(all) {
    const open = all.filter((alert) => alert.priority !== "PN"); // advice is in the list alone
    const [alert] = open;
    this.alert = alert ?? null;
    const key = alert ? `${alert.id}/${alert.version}/${open.length}` : "";
    if (this.drawn === key) {
      this.tick();
      return;
    }
    this.drawn = key;
    const { banner } = this;
    banner.disabled = !alert;
    banner.dataset.alert = alert ? alert.id : "";
    banner.dataset.flash = Boolean(alert) && !alert.acknowledged;
    banner.dataset.over = Boolean(alert) && isOver(alert);
    for (const coloured of [banner, this.root]) {
      if (alert) coloured.dataset.priority = alert.priority;
      else delete coloured.dataset.priority;
    }
    if (!alert) {
      banner.replaceChildren(element("span", { class: "none" }, "No alarms"));
      this.since = null;
      return;
    }
    const found = finding(alert);
    const by = alert.acknowledged ? `✓ ${alert.acknowledged.by}` : "";
    this.since = element("span", { class: "since" });
    banner.replaceChildren(
      badge(alert.priority),
      element(
        "span",
        { class: "what" },
        element("strong", {}, alert.title),
        element(
          "span",
          { class: "finding" },
          alert.words ?? (found ? shortFinding(found) : ""),
        ),
      ),
      element(
        "span",
        { class: "when" },
        element("strong", { class: "word" }, stateWord(alert).toUpperCase()),
        this.since,
        by ? element("span", { class: "by" }, by) : null,
        open.length > 1 ? element("span", { class: "more" }, `+${open.length - 1} more`) : null,
      ),
    );
    this.tick();
  }

  // What changes with time alone.
  tick() {
    if (this.since && this.alert) setText(this.since, sinceOnset(this.alert));
  }

  animate(colours) {
    if (performance.now() - this.bed.receivedAt <= STALE_MS) this.trace.draw(colours.trace, colours.clip);
  }
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// The limit without its unit, which is that of the value.
const shortFinding = ({ short, limit }) => [short, limit.replace(/ [a-zA-Z]+$/, "")].filter(Boolean).join(" · ");
