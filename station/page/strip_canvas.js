// A strip drawn as on ECG paper, 25 mm/s and 10 mm/mV, with a cited interval marked on its leads.

import { fitCanvas } from "./canvas.js";
import { citationLabel } from "./labels.js";

const MM_PER_S = 25;
const MM_PER_MV = 10;
const ROW_MM = 21; // height of one lead
const LEFT_MM = 11; // lead name and calibration pulse
const RIGHT_MM = 4;
const TOP_MM = 9; // time axis
const BOTTOM_MM = 4;
const MIN_PX_PER_MM = 3.2;
const MAX_PX_PER_MM = 6;
const SCROLLBAR_PX = 16;
const MAX_ROW_SHARE = 1.25; // a trace may leave its row by this much before it is clipped
const FONT = "600 13px system-ui, sans-serif";
const COLOURS = {
  paper: "#0b1512",
  fine: "#15261f",
  coarse: "#21402f",
  trace: "#c9f7e2",
  quiet: "#86a99a",
  cited: "rgba(255, 180, 84, .20)",
  notCited: "rgba(255, 180, 84, .07)",
  mark: "#ffb454",
  onMark: "#201300",
};

export class StripCanvas {
  constructor(canvas, scroll) {
    this.canvas = canvas;
    this.scroll = scroll;
    this.strip = null;
    this.citation = null;
    new ResizeObserver(() => this.draw()).observe(scroll);
  }

  show(strip, citation) {
    this.strip = strip;
    this.citation = citation;
    this.draw();
    this.scroll.scrollTo({ top: 0 });
    if (citation) {
      const middle = this.x((citation.start_sample + citation.end_sample) / 2);
      this.scroll.scrollLeft = Math.max(0, middle - this.scroll.clientWidth / 2);
    }
  }

  draw() {
    if (!this.strip) return;
    const { strip, citation, canvas } = this;
    const widthMm = LEFT_MM + (strip.nSamples / strip.fsHz) * MM_PER_S + RIGHT_MM;
    const fitting = (this.scroll.clientWidth - SCROLLBAR_PX) / widthMm;
    this.pxPerMm = Math.max(MIN_PX_PER_MM, Math.min(MAX_PX_PER_MM, fitting));
    const width = widthMm * this.pxPerMm;
    const height = (TOP_MM + strip.leads.length * ROW_MM + BOTTOM_MM) * this.pxPerMm;
    const { context } = fitCanvas(canvas, width, height);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    this.drawPaper(context, width, height);
    this.rows.forEach((lead, k) => this.drawRow(context, lead, (TOP_MM + (k + 0.5) * ROW_MM) * this.pxPerMm));
    if (citation) this.drawCitation(context);
    canvas.dataset.span = citation ? `${citation.start_sample}-${citation.end_sample}` : "";
    canvas.dataset.leads = citation ? citation.leads.join(",") : "";
  }

  // Cited leads first, so that they are visible without scrolling.
  get rows() {
    return [...this.strip.leads].sort((a, b) => this.isCited(b) - this.isCited(a));
  }

  isCited(lead) {
    return Boolean(this.citation?.leads.includes(lead.name));
  }

  x(sample) {
    return (LEFT_MM + (sample / this.strip.fsHz) * MM_PER_S) * this.pxPerMm;
  }

  drawPaper(context, width, height) {
    const left = LEFT_MM * this.pxPerMm;
    context.fillStyle = COLOURS.paper;
    context.fillRect(0, 0, width, height);
    context.lineWidth = 1;
    for (const [stepMm, colour] of [[1, COLOURS.fine], [5, COLOURS.coarse]]) {
      const step = stepMm * this.pxPerMm;
      context.strokeStyle = colour;
      context.beginPath();
      for (let x = left; x < width; x += step) line(context, Math.round(x) + 0.5, 0, Math.round(x) + 0.5, height);
      for (let y = 0; y < height; y += step) line(context, left, Math.round(y) + 0.5, width, Math.round(y) + 0.5);
      context.stroke();
    }
    context.fillStyle = COLOURS.quiet;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    for (let second = 0; second <= this.strip.nSamples / this.strip.fsHz; second += 1) {
      context.fillText(`${second} s`, left + second * MM_PER_S * this.pxPerMm, 11);
    }
  }

  drawRow(context, lead, middle) {
    if (this.citation) this.drawSpan(context, middle, this.isCited(lead) ? COLOURS.cited : COLOURS.notCited);
    context.fillStyle = COLOURS.trace;
    context.font = FONT;
    context.textAlign = "left";
    context.fillText(lead.name, 8, middle + 4);
    this.drawCalibrationPulse(context, middle);
    this.drawTrace(context, lead.mv, middle);
  }

  drawSpan(context, middle, colour) {
    const start = this.x(this.citation.start_sample);
    const width = Math.max(2, this.x(this.citation.end_sample) - start);
    context.fillStyle = colour;
    context.fillRect(start, middle - (ROW_MM / 2) * this.pxPerMm, width, ROW_MM * this.pxPerMm);
  }

  // 1 mV
  drawCalibrationPulse(context, middle) {
    const mm = this.pxPerMm;
    const x = (LEFT_MM - 2.4) * mm;
    const top = middle - MM_PER_MV * mm;
    context.strokeStyle = COLOURS.quiet;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x - 0.8 * mm, middle);
    context.lineTo(x, middle);
    context.lineTo(x, top);
    context.lineTo(x + 1.6 * mm, top);
    context.lineTo(x + 1.6 * mm, middle);
    context.stroke();
  }

  drawTrace(context, mv, middle) {
    const present = mv.filter((value) => !Number.isNaN(value)).sort();
    const baseline = present.length ? present[present.length >> 1] : 0;
    const limit = (ROW_MM / 2) * this.pxPerMm * MAX_ROW_SHARE;
    context.strokeStyle = COLOURS.trace;
    context.lineWidth = 1.4;
    context.lineJoin = "round";
    context.beginPath();
    let connected = false;
    mv.forEach((value, k) => {
      if (!Number.isNaN(value)) {
        const height = (value - baseline) * MM_PER_MV * this.pxPerMm;
        const y = middle - Math.max(-limit, Math.min(limit, height));
        if (connected) context.lineTo(this.x(k), y);
        else context.moveTo(this.x(k), y);
      }
      connected = !Number.isNaN(value);
    });
    context.stroke();
  }

  // A bracket over the cited leads, a triangle at each cited beat, and the measurement.
  drawCitation(context) {
    const { citation } = this;
    const nCited = Math.max(1, this.strip.leads.filter((lead) => this.isCited(lead)).length);
    const top = (TOP_MM - 1.2) * this.pxPerMm;
    const bottom = (TOP_MM + nCited * ROW_MM) * this.pxPerMm;
    const [start, end] = [this.x(citation.start_sample), this.x(citation.end_sample)];
    context.strokeStyle = COLOURS.mark;
    context.fillStyle = COLOURS.mark;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(start, bottom);
    context.lineTo(start, top);
    context.lineTo(end, top);
    context.lineTo(end, bottom);
    context.stroke();
    for (const beat of citation.beats) triangle(context, this.x(beat.r_sample), top);
    this.drawLabel(context, citationLabel(citation), (start + end) / 2, bottom);
  }

  drawLabel(context, text, middle, bottom) {
    context.font = FONT;
    const width = context.measureText(text).width + 12;
    const rightmost = this.canvas.clientWidth - width - 4;
    const x = Math.max(LEFT_MM * this.pxPerMm, Math.min(rightmost, middle - width / 2));
    context.fillStyle = COLOURS.mark;
    context.fillRect(x, bottom - 20, width, 20);
    context.fillStyle = COLOURS.onMark;
    context.textAlign = "left";
    context.fillText(text, x + 6, bottom - 6);
  }
}

function line(context, x0, y0, x1, y1) {
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
}

function triangle(context, x, tip) {
  context.beginPath();
  context.moveTo(x - 4, tip - 5);
  context.lineTo(x + 4, tip - 5);
  context.lineTo(x, tip);
  context.closePath();
  context.fill();
}
