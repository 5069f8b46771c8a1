// A bed's live trace: a sweep with an erase bar, drawn as the samples are due, one second behind the newest.

const SWEEP_S = 6;
const DELAY_S = 1.3; // vitals come once a second: the trace runs this far behind so that it never stands still
const GAP_S = 0.25;
const MV_HALF = 1.6; // the canvas shows ± this much around the running middle

export class Trace {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = []; // [time s, mV or null], ascending
    this.offset = null; // performance time less signal time, s
    this.drawn = null;
    this.middle = 0;
  }

  push(wave) {
    const start = Date.parse(wave.start) / 1000;
    const step = 1 / wave.sampling_rate;
    const last = this.samples.length ? this.samples[this.samples.length - 1][0] : -Infinity;
    wave.mv.forEach((mv, k) => { if (start + k * step > last + step / 2) this.samples.push([start + k * step, mv]); });
    const end = start + wave.mv.length * step;
    const offset = performance.now() / 1000 - end;
    // The first message sets the pace; later ones move it only where the trace would starve or lag behind.
    if (this.offset === null || Math.abs(offset - this.offset) > 1) { this.offset = offset; this.drawn = null; }
    const cut = end - 3 * SWEEP_S;
    while (this.samples.length && this.samples[0][0] < cut) this.samples.shift();
    const seen = wave.mv.filter((x) => x !== null).sort((a, b) => a - b);
    if (seen.length) this.middle += 0.3 * (seen[seen.length >> 1] - this.middle);
  }

  draw(colour) {
    if (this.offset === null) return;
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio); this.drawn = null;
    }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    const until = performance.now() / 1000 - this.offset - DELAY_S;
    const x = (t) => ((t / SWEEP_S) % 1) * w;
    const y = (mv) => h / 2 - Math.max(-1, Math.min(1, (mv - this.middle) / MV_HALF)) * (h / 2 - 3);
    let from = this.drawn ?? until - SWEEP_S + GAP_S;
    if (this.drawn === null) g.clearRect(0, 0, w, h);
    const [a, b] = [x(from), x(until + GAP_S)];
    if (b >= a) g.clearRect(a + 1, 0, b - a, h); else { g.clearRect(a + 1, 0, w - a, h); g.clearRect(0, 0, b, h); }
    g.strokeStyle = colour; g.lineWidth = 1.6; g.lineJoin = "round"; g.beginPath();
    let pen = false, before = 0;
    for (const [t, mv] of this.samples) {
      if (t < from - 0.02) continue;
      if (t > until) break;
      if (mv === null || x(t) < before) { pen = false; }
      if (mv !== null) { if (pen) g.lineTo(x(t), y(mv)); else g.moveTo(x(t), y(mv)); pen = true; }
      before = x(t);
    }
    g.stroke();
    this.drawn = until;
  }
}
