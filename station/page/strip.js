// The strip of an alert on ECG paper, 25 mm/s and 10 mm/mV, with the cited interval marked on its leads.

import { citationWords } from "./words.js";

const MM_PER_S = 25, MM_PER_MV = 10;
const ROW_MM = 21, LEFT_MM = 11, TOP_MM = 9;
const MIN_PX_PER_MM = 3.2, MAX_PX_PER_MM = 6;
const COLOURS = { paper: "#0b1512", fine: "#15261f", coarse: "#21402f", trace: "#c9f7e2", quiet: "#86a99a", band: "rgba(255, 180, 84, .20)", faint: "rgba(255, 180, 84, .07)", mark: "#ffb454" };

// The JSON of /api/strips: int16 samples [lead][sample] in base64 → millivolts per lead (NaN: no sample).
export function unpack(doc) {
  const bytes = Uint8Array.from(atob(doc.samples), (c) => c.charCodeAt(0));
  const units = new Int16Array(bytes.buffer);
  const leads = doc.leads.map((name, k) => ({
    name,
    mv: Float32Array.from(units.subarray(k * doc.n_samples, (k + 1) * doc.n_samples), (u) => (u === -32768 ? NaN : (u * doc.lsb_uv[k]) / 1000)),
  }));
  return { fs: doc.sampling_rate, n: doc.n_samples, leads };
}

export class Strip {
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
    if (citation) this.scroll.scrollLeft = Math.max(0, this.x((citation.start_sample + citation.end_sample) / 2) - this.scroll.clientWidth / 2);
  }

  // Cited leads first, so that what is pointed at is seen without scrolling.
  get rows() {
    const cited = new Set(this.citation?.leads ?? []);
    return [...this.strip.leads].sort((a, b) => cited.has(b.name) - cited.has(a.name));
  }

  x(sample) {
    return (LEFT_MM + (sample / this.strip.fs) * MM_PER_S) * this.mm;
  }

  draw() {
    if (!this.strip) return;
    const { strip, citation, canvas } = this;
    const seconds = strip.n / strip.fs;
    const widthMm = LEFT_MM + seconds * MM_PER_S + 4;
    this.mm = Math.max(MIN_PX_PER_MM, Math.min(MAX_PX_PER_MM, (this.scroll.clientWidth - 16) / widthMm));
    const [w, h] = [widthMm * this.mm, (TOP_MM + strip.leads.length * ROW_MM + 4) * this.mm];
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    canvas.style.width = `${w}px`; canvas.style.height = `${h}px`;
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.fillStyle = COLOURS.paper; g.fillRect(0, 0, w, h);
    this.grid(g, w, h);
    const cited = new Set(citation?.leads ?? []);
    this.rows.forEach((lead, k) => {
      const middle = (TOP_MM + (k + 0.5) * ROW_MM) * this.mm;
      if (citation) this.band(g, middle, cited.has(lead.name));
      this.lead(g, lead, middle);
    });
    if (citation) this.brackets(g);
    canvas.dataset.span = citation ? `${citation.start_sample}-${citation.end_sample}` : "";
    canvas.dataset.leads = citation ? citation.leads.join(",") : "";
  }

  grid(g, w, h) {
    const left = LEFT_MM * this.mm;
    for (const [step, colour] of [[1, COLOURS.fine], [5, COLOURS.coarse]]) {
      g.strokeStyle = colour; g.lineWidth = 1; g.beginPath();
      for (let x = left; x < w; x += step * this.mm) { g.moveTo(Math.round(x) + 0.5, 0); g.lineTo(Math.round(x) + 0.5, h); }
      for (let y = 0; y < h; y += step * this.mm) { g.moveTo(left, Math.round(y) + 0.5); g.lineTo(w, Math.round(y) + 0.5); }
      g.stroke();
    }
    g.fillStyle = COLOURS.quiet; g.font = "11px system-ui, sans-serif"; g.textAlign = "center";
    for (let s = 0; s <= this.strip.n / this.strip.fs; s += 1) g.fillText(`${s} s`, left + s * MM_PER_S * this.mm, 11);
  }

  lead(g, lead, middle) {
    const finite = lead.mv.filter((v) => !Number.isNaN(v)).sort();
    const base = finite.length ? finite[finite.length >> 1] : 0;
    const limit = (ROW_MM / 2) * this.mm * 1.25;
    g.fillStyle = COLOURS.trace; g.font = "600 13px system-ui, sans-serif"; g.textAlign = "left";
    g.fillText(lead.name, 8, middle + 4);
    // The calibration pulse of 1 mV stands before the trace.
    const pulse = LEFT_MM * this.mm - 2.4 * this.mm;
    g.strokeStyle = COLOURS.quiet; g.lineWidth = 1; g.beginPath();
    g.moveTo(pulse - 0.8 * this.mm, middle); g.lineTo(pulse, middle); g.lineTo(pulse, middle - MM_PER_MV * this.mm);
    g.lineTo(pulse + 1.6 * this.mm, middle - MM_PER_MV * this.mm); g.lineTo(pulse + 1.6 * this.mm, middle); g.stroke();
    g.strokeStyle = COLOURS.trace; g.lineWidth = 1.4; g.lineJoin = "round"; g.beginPath();
    let pen = false;
    lead.mv.forEach((mv, k) => {
      if (Number.isNaN(mv)) { pen = false; return; }
      const y = middle - Math.max(-limit, Math.min(limit, (mv - base) * MM_PER_MV * this.mm));
      if (pen) g.lineTo(this.x(k), y); else g.moveTo(this.x(k), y);
      pen = true;
    });
    g.stroke();
  }

  band(g, middle, cited) {
    const { citation } = this;
    const [a, b] = [this.x(citation.start_sample), Math.max(this.x(citation.end_sample), this.x(citation.start_sample) + 2)];
    g.fillStyle = cited ? COLOURS.band : COLOURS.faint;
    g.fillRect(a, middle - (ROW_MM / 2) * this.mm, b - a, ROW_MM * this.mm);
  }

  brackets(g) {
    const { citation } = this;
    const rows = Math.max(1, citation.leads.filter((name) => this.strip.leads.some((l) => l.name === name)).length);
    const [top, bottom] = [(TOP_MM - 1.2) * this.mm, (TOP_MM + rows * ROW_MM) * this.mm];
    const [a, b] = [this.x(citation.start_sample), this.x(citation.end_sample)];
    g.strokeStyle = COLOURS.mark; g.lineWidth = 1.5; g.beginPath();
    g.moveTo(a, bottom); g.lineTo(a, top); g.lineTo(b, top); g.lineTo(b, bottom); g.stroke();
    for (const beat of citation.beats) {
      const x = this.x(beat.r_sample);
      g.beginPath(); g.moveTo(x - 4, top - 5); g.lineTo(x + 4, top - 5); g.lineTo(x, top); g.closePath(); g.fillStyle = COLOURS.mark; g.fill();
    }
    const words = citationWords(citation);
    g.font = "600 13px system-ui, sans-serif";
    const width = g.measureText(words).width + 12;
    const x = Math.max(LEFT_MM * this.mm, Math.min(this.canvas.clientWidth - width - 4, (a + b - width) / 2));
    g.fillStyle = COLOURS.mark; g.fillRect(x, bottom - 20, width, 20);
    g.fillStyle = "#201300"; g.textAlign = "left"; g.fillText(words, x + 6, bottom - 6);
  }
}
