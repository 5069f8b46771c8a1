// The trends of a bed over a day: heart rate with its lowest and highest values, PVC rate, ST by lead, and its alarms.

import { fitCanvas } from "./canvas.js";
import { rank } from "./priority.js";

const PANELS = [
  { name: "Heart rate, bpm", share: 0.46, floor: [40, 120] },
  { name: "PVC a minute", share: 0.2, floor: [0, 10] },
  { name: "ST, mV", share: 0.34, floor: [-0.2, 0.2] },
];
const [LEFT, RIGHT, TOP, BOTTOM, GAP] = [52, 14, 30, 24, 22]; // CSS pixels
const GAP_MS = 120000; // points further apart are not joined
const HOUR_MS = 3600000;
const ST_COLOURS = ["--trace", "--mark", "--low", "--medium-text", "--high-text", "--text"];
const FONT = "11.5px Inter, 'Segoe UI', Roboto, Arial, sans-serif";

export class TrendChart {
  constructor(canvas) {
    this.canvas = canvas;
    this.trend = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // trend: columns of /api/trends; alarms: alerts of the bed; nowMs: right edge; hours: width
  show(trend, alarms, nowMs, hours) {
    Object.assign(this, { trend, alarms, nowMs, hours });
    this.draw();
  }

  draw() {
    if (!this.trend) return;
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const { context } = fitCanvas(canvas, width, height);
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(name).trim();
    context.clearRect(0, 0, width, height);
    context.font = FONT;
    this.context = context;
    this.plot = { left: LEFT, width: width - LEFT - RIGHT, top: TOP, height: height - TOP - BOTTOM };
    this.drawHours(height);
    this.drawAlarms();
    let top = TOP;
    const room = this.plot.height - GAP * (PANELS.length - 1);
    PANELS.forEach((panel, k) => {
      this.drawPanel(panel, k, top, room * panel.share);
      top += room * panel.share + GAP;
    });
  }

  x(ms) {
    return this.plot.left + (1 - (this.nowMs - ms) / (this.hours * HOUR_MS)) * this.plot.width;
  }

  drawHours(height) {
    const { context, plot } = this;
    const step = this.hours > 12 ? 3 : this.hours > 4 ? 1 : 0.5;
    context.strokeStyle = this.colour("--line");
    context.fillStyle = this.colour("--quiet");
    context.textAlign = "center";
    const first = Math.ceil((this.nowMs - this.hours * HOUR_MS) / (step * HOUR_MS)) * step * HOUR_MS;
    for (let ms = first; ms <= this.nowMs; ms += step * HOUR_MS) {
      const x = Math.round(this.x(ms)) + 0.5;
      context.beginPath();
      context.moveTo(x, TOP);
      context.lineTo(x, plot.top + plot.height);
      context.stroke();
      const words = new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
      context.fillText(words, Math.min(x, plot.left + plot.width - 14), height - 7);
    }
  }

  // A bar from onset to end over the panels, in the colour of its priority; the urgent ones are drawn last.
  drawAlarms() {
    const { context } = this;
    const sorted = [...this.alarms].sort((a, b) => rank(b.priority) - rank(a.priority));
    for (const alarm of sorted) {
      const name = { PH: "--high", PM: "--medium", PL: "--low" }[alarm.priority];
      if (!name) continue;
      const start = Math.max(this.plot.left, this.x(Date.parse(alarm.onset)));
      const end = this.x(
        alarm.end ? Date.parse(alarm.end) : alarm.state === "off" ? Date.parse(alarm.onset) : this.nowMs,
      );
      if (end < this.plot.left) continue;
      context.fillStyle = this.colour(name);
      const depth = rank(alarm.priority) * 6;
      context.fillRect(start, 8 + depth, Math.max(3, end - start), 5);
    }
  }

  drawPanel(panel, k, top, height) {
    const { context, trend } = this;
    const leads = Object.keys(trend.st);
    const series =
      k === 0 ? [trend.hr, trend.hr_min, trend.hr_max] : k === 1 ? [trend.pvc] : leads.map((lead) => trend.st[lead]);
    const values = series.flat().filter((value) => value !== null && value !== undefined);
    const low = Math.min(panel.floor[0], ...extremes(values, Math.min));
    const high = Math.max(panel.floor[1], ...extremes(values, Math.max));
    const y = (value) => top + height - ((value - low) / (high - low)) * height;
    context.strokeStyle = this.colour("--line");
    context.strokeRect(this.plot.left + 0.5, Math.round(top) + 0.5, this.plot.width, Math.round(height));
    context.fillStyle = this.colour("--quiet");
    context.textAlign = "right";
    for (const value of [low, high]) {
      context.fillText(short(value), this.plot.left - 7, y(value) + (value === low ? 0 : 9));
    }
    context.textAlign = "left";
    context.fillText(panel.name, this.plot.left + 6, top - 6);
    if (k === 0) this.band(trend.hr_min, trend.hr_max, y);
    if (k < 2) this.line(series[0], y, this.colour("--trace"));
    else this.drawLevels(leads, y, top);
    if (!values.length) context.fillText("no values yet", this.plot.left + 8, top + height / 2 + 4);
  }

  drawLevels(leads, y, top) {
    let x = this.plot.left + 60;
    leads.forEach((lead, k) => {
      const colour = this.colour(ST_COLOURS[k % ST_COLOURS.length]);
      this.line(this.trend.st[lead], y, colour);
      this.context.fillStyle = colour;
      this.context.fillText(lead, x, top - 6);
      x += this.context.measureText(lead).width + 12;
    });
  }

  line(values, y, colour) {
    const { context, trend } = this;
    context.strokeStyle = colour;
    context.lineWidth = 1.4;
    context.beginPath();
    let before = -Infinity;
    values.forEach((value, k) => {
      const ms = trend.at[k];
      if (value === null || value === undefined) return;
      if (ms - before > GAP_MS) context.moveTo(this.x(ms), y(value));
      else context.lineTo(this.x(ms), y(value));
      before = ms;
    });
    context.stroke();
    context.lineWidth = 1;
  }

  band(lows, highs, y) {
    const { context, trend } = this;
    context.fillStyle = this.colour("--trace");
    context.globalAlpha = 0.28;
    lows.forEach((low, k) => {
      if (low === null || highs[k] === null) return;
      const height = Math.max(1, y(low) - y(highs[k]));
      context.fillRect(
        this.x(trend.at[k]) - 1,
        y(highs[k]),
        Math.max(1.5, this.plot.width / (this.hours * 120)),
        height,
      );
    });
    context.globalAlpha = 1;
  }
}

// [] of no values; a reduction, since a spread of thousands of values overflows the stack
const extremes = (values, pick) => (values.length ? [values.reduce((a, b) => pick(a, b))] : []);
const short = (value) => (Math.abs(value) < 2 && value !== 0 ? value.toFixed(2) : String(Math.round(value)));
