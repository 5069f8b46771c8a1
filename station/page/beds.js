// The grid of beds: numbers, rhythm, the worst alarm of each, and the live trace.

import { element, PRIORITIES } from "./words.js";
import { Trace } from "./trace.js";

const STALE_MS = 4000; // numbers are sent every second: older ones are shown as old
const FRAME_MS = 50;

const RHYTHMS = { sinus: "Sinus rhythm", af: "Atrial fibrillation", paced: "Paced", irregular: "Irregular" };

export class Beds {
  constructor(root, onAlarm) {
    this.root = root;
    this.onAlarm = onAlarm; // called with an alert id when a bed's banner is pressed
    this.tiles = new Map();
    this.colour = getComputedStyle(document.documentElement).getPropertyValue("--trace");
    let last = 0;
    const frame = (now) => {
      if (now - last >= FRAME_MS) { last = now; for (const tile of this.tiles.values()) this.animate(tile); }
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  tile(stream, unit, bed) {
    const known = this.tiles.get(stream);
    if (known) return known;
    const canvas = element("canvas", { "aria-hidden": "true" });
    const name = element("h3", {}, unit && bed ? `${unit} · ${bed}` : stream);
    const note = element("span", { class: "quiet" });
    const hr = element("span", { class: "hr" }, "–");
    const rhythm = element("p", { class: "rhythm" });
    const banner = element("button", { class: "banner alarm", type: "button", disabled: true, onclick: () => banner.dataset.alert && this.onAlarm(banner.dataset.alert) }, "no alarm");
    const rate = element("p", { class: "rate" }, hr, element("span", { class: "hr-unit" }, "bpm"));
    const root = element("article", { class: "bed", "data-bed": stream, "aria-label": `bed ${stream}` },
      element("header", {}, name, note), rate, rhythm, canvas, banner);
    const tile = { stream, root, note, hr, rhythm, banner, trace: new Trace(canvas), vitals: null, heard: -Infinity };
    this.tiles.set(stream, tile);
    const after = [...this.tiles.keys()].sort().find((other) => other > stream);
    this.root.insertBefore(root, after ? this.tiles.get(after).root : null);
    return tile;
  }

  bed(doc) {
    const tile = this.tile(doc.bed_stream, doc.unit, doc.bed);
    tile.root.dataset.status = doc.status;
    const paused = doc.audio_paused_until && Date.parse(doc.audio_paused_until) > Date.now();
    tile.note.textContent = doc.status === "monitored" ? (paused ? "audio paused" : "") : doc.status;
  }

  vitals(doc) {
    const tile = this.tile(doc.bed_stream);
    tile.vitals = doc;
    tile.heard = performance.now();
    if (doc.wave) tile.trace.push(doc.wave);
    tile.hr.textContent = doc.hr === null ? "–" : Math.round(doc.hr);
    const words = [];
    if (doc.rhythm) words.push(RHYTHMS[doc.rhythm] ?? doc.rhythm);
    if (doc.pvc_per_min) words.push(`${Math.round(doc.pvc_per_min)} PVC/min`);
    if (doc.wave) words.push(`lead ${doc.wave.lead}`);
    tile.rhythm.textContent = words.join(" · ");
  }

  // The open alerts of every bed; the worst one takes the banner.
  alerts(all) {
    for (const tile of this.tiles.values()) {
      const open = all.filter((a) => a.bed_stream === tile.stream && a.state !== "off");
      open.sort((a, b) => (a.state === "acknowledged") - (b.state === "acknowledged") || PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) || (a.superseded_by !== null) - (b.superseded_by !== null));
      const worst = open[0];
      const { banner } = tile;
      banner.disabled = !worst;
      banner.dataset.alert = worst ? worst.id : "";
      banner.replaceChildren(worst ? worst.title : "no alarm", element("small", {}, open.length > 1 ? `+${open.length - 1}` : ""));
      for (const marked of [banner, tile.root]) {
        if (worst) marked.dataset.priority = worst.priority; else delete marked.dataset.priority;
      }
      banner.dataset.flash = Boolean(worst) && worst.state !== "acknowledged";
    }
  }

  animate(tile) {
    const stale = performance.now() - tile.heard > STALE_MS;
    if (tile.root.dataset.stale !== String(stale)) {
      tile.root.dataset.stale = stale;
      if (stale) { tile.hr.textContent = "–"; tile.rhythm.textContent = "no signal"; }
    }
    if (!stale) tile.trace.draw(this.colour);
  }
}
