// Calipers on a strip: two legs that a person sets with the pointer or the arrow keys; they say interval, rate,
// amplitude.

import { middleMm, panelAt, sampleAt, xMm } from "./strip_scene.js";
import { font } from "./strip_paint.js";

const STEP_S = 0.004; // of an arrow key, ten times as much with Shift
const MIN_RATE_S = 0.15; // a shorter interval is no RR interval

export class Calipers {
  constructor() {
    this.legs = null; // {panel, a, b: samples, aMm, bMm: heights}
  }

  clear() {
    this.legs = null;
  }

  begin(scene, xMillimetres, yMillimetres) {
    const panel = panelAt(scene, xMillimetres, yMillimetres);
    if (!panel) return false;
    const sample = sampleAt(scene, xMillimetres);
    this.legs = { panel, a: sample, b: sample, aMm: yMillimetres, bMm: yMillimetres };
    return true;
  }

  moveTo(scene, xMillimetres, yMillimetres) {
    const { panel } = this.legs;
    this.legs.b = Math.max(panel.from, Math.min(panel.to - 1, sampleAt(scene, xMillimetres)));
    this.legs.bMm = yMillimetres;
  }

  // Sets the legs one second apart in the middle of the first panel, so that the keyboard can move them.
  place(scene) {
    const panel = scene.panels[0];
    const middle = Math.round((panel.from + panel.to) / 2);
    const y = middleMm(scene, panel);
    this.legs = { panel, a: middle, b: Math.min(panel.to - 1, middle + scene.strip.fsHz), aMm: y, bMm: y };
  }

  // by: steps to the right; whole: both legs
  step(scene, by, whole) {
    if (!this.legs) return;
    const { panel } = this.legs;
    const samples = Math.max(1, Math.round(STEP_S * scene.strip.fsHz)) * by;
    const inside = (sample) => Math.max(panel.from, Math.min(panel.to - 1, sample));
    this.legs.b = inside(this.legs.b + samples);
    if (whole) this.legs.a = inside(this.legs.a + samples);
  }

  words(scene) {
    if (!this.legs) return "";
    const seconds = Math.abs(this.legs.b - this.legs.a) / scene.strip.fsHz;
    const parts = [seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`];
    if (seconds >= MIN_RATE_S) parts.push(`${Math.round(60 / seconds)} bpm`);
    parts.push(`${(Math.abs(this.legs.bMm - this.legs.aMm) / scene.gain).toFixed(2)} mV`);
    return `${parts.join(" · ")} · lead ${this.legs.panel.lead.name}`;
  }

  paint(context, scene, px, colours) {
    if (!this.legs) return;
    const { panel, a, b, aMm, bMm } = this.legs;
    const [top, bottom] = [-1, 1].map((sign) => (middleMm(scene, panel) + (sign * scene.rowMm) / 2) * px);
    const [xA, xB] = [a, b].map((sample) => xMm(scene, sample) * px);
    context.strokeStyle = colours.title;
    context.lineWidth = 1.2;
    context.setLineDash([5, 3]);
    context.beginPath();
    for (const x of [xA, xB]) {
      context.moveTo(x, top);
      context.lineTo(x, bottom);
    }
    for (const y of [aMm, bMm]) {
      context.moveTo(Math.min(xA, xB), y * px);
      context.lineTo(Math.max(xA, xB), y * px);
    }
    context.stroke();
    context.setLineDash([]);
    context.font = font(3, px, 700);
    const words = this.words(scene);
    const { width } = context.measureText(words);
    const x = Math.max(4, Math.min(scene.widthMm * px - width - 10, (xA + xB - width) / 2));
    context.fillStyle = colours.title;
    context.fillRect(x - 4, bottom - 4.8 * px, width + 8, 4.6 * px);
    context.fillStyle = colours.paper;
    context.textAlign = "left";
    context.fillText(words, x, bottom - 1.5 * px);
  }
}
