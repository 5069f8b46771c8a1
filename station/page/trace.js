// The live trace of a bed: a sweep with an erase bar. It is drawn 1.3 s after the samples' own time, so that it moves
// evenly although a message with one second of signal comes once a second.

import { fitCanvas } from "./canvas.js";

const SWEEP_S = 6;
const DELAY_S = 1.3;
const ERASE_S = 0.25; // width of the erase bar
const MAX_DRIFT_S = 1; // a larger change of the delay restarts the sweep
const STEP_BACK_S = 0.5; // signal that begins this long before the newest sample is of a clock that was set back
const KEPT_SWEEPS = 2;
const BASELINE_WEIGHT = 0.3; // of the newest message's median
const RANGES_MV = [1, 1.6, 2.5, 4, 8, 16]; // displayed on each side of the baseline; the smallest that holds the signal
const CLIP_MARK_PX = 5;

export class Trace {
  // onRange(mv): the displayed range on each side of the baseline has changed
  constructor(canvas, onRange = () => {}) {
    this.canvas = canvas;
    this.onRange = onRange;
    this.range = 0;
    this.setRange(RANGES_MV[1]);
    this.clear();
  }

  clear() {
    this.samples = []; // [time s, mV or null], ascending
    this.offsetS = null; // browser clock less signal time
    this.drawnUntilS = null;
    this.baselineMv = null;
  }

  push(wave) {
    const startS = Date.parse(wave.start) / 1000;
    const stepS = 1 / wave.sampling_rate;
    const endS = startS + wave.mv.length * stepS;
    const newestS = this.samples.length ? this.samples[this.samples.length - 1][0] : -Infinity;
    if (startS < newestS - STEP_BACK_S - wave.mv.length * stepS || startS > newestS + KEPT_SWEEPS * SWEEP_S) {
      this.clear();
    }
    this.append(wave.mv, startS, stepS);
    const offsetS = performance.now() / 1000 - endS;
    if (this.offsetS === null || Math.abs(offsetS - this.offsetS) > MAX_DRIFT_S) {
      this.offsetS = offsetS;
      this.drawnUntilS = null;
    }
    const present = wave.mv.filter((mv) => mv !== null).sort((a, b) => a - b);
    if (!present.length) return;
    const median = present[present.length >> 1];
    this.baselineMv =
      this.baselineMv === null ? median : this.baselineMv + BASELINE_WEIGHT * (median - this.baselineMv);
    this.fitRange();
  }

  append(mv, startS, stepS) {
    const lastS = this.samples.length ? this.samples[this.samples.length - 1][0] : -Infinity;
    mv.forEach((value, k) => {
      const timeS = startS + k * stepS;
      if (timeS > lastS + stepS / 2) this.samples.push([timeS, value]);
    });
    const oldestS = startS + mv.length * stepS - KEPT_SWEEPS * SWEEP_S;
    const first = this.samples.findIndex(([timeS]) => timeS >= oldestS);
    if (first > 0) this.samples.splice(0, first);
  }

  fitRange() {
    let highest = 0;
    for (const [, mv] of this.samples) if (mv !== null) highest = Math.max(highest, Math.abs(mv - this.baselineMv));
    const fitting = RANGES_MV.find((range) => range >= highest) ?? RANGES_MV[RANGES_MV.length - 1];
    const next = fitting < this.range && highest > 0.8 * fitting ? this.range : fitting; // no flicker between two
    this.setRange(Math.max(next, RANGES_MV[1]));
  }

  setRange(range) {
    if (range === this.range) return;
    this.range = range;
    this.drawnUntilS = null;
    this.onRange(range);
  }

  draw(colour, clipColour) {
    if (this.offsetS === null) return;
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const { context, resized } = fitCanvas(canvas, width, height);
    if (resized) this.drawnUntilS = null;
    const untilS = performance.now() / 1000 - this.offsetS - DELAY_S;
    const fromS = this.drawnUntilS ?? untilS - SWEEP_S + ERASE_S;
    if (this.drawnUntilS === null) context.clearRect(0, 0, width, height);
    const x = (timeS) => ((((timeS / SWEEP_S) % 1) + 1) % 1) * width;
    erase(context, x(fromS), x(untilS + ERASE_S), width, height);
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    this.stroke(context, fromS, untilS, x, height, clipColour);
    this.drawnUntilS = untilS;
  }

  // Index of the first sample at or after a time.
  firstFrom(timeS) {
    let [low, high] = [0, this.samples.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.samples[middle][0] < timeS) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  stroke(context, fromS, untilS, x, height, clipColour) {
    const clipped = [];
    context.beginPath();
    let connected = false;
    let previousX = 0;
    for (let k = this.firstFrom(fromS - 0.02); k < this.samples.length && this.samples[k][0] <= untilS; k += 1) {
      const [timeS, mv] = this.samples[k];
      const at = x(timeS);
      if (mv === null || at < previousX) connected = false; // a missing sample, or the next sweep
      if (mv !== null) {
        const relative = (mv - this.baselineMv) / this.range;
        if (Math.abs(relative) > 1) clipped.push([at, relative > 0 ? 0 : height - CLIP_MARK_PX]);
        const y = height / 2 - Math.max(-1, Math.min(1, relative)) * (height / 2 - 3);
        if (connected) context.lineTo(at, y);
        else context.moveTo(at, y);
        connected = true;
      }
      previousX = at;
    }
    context.stroke();
    context.fillStyle = clipColour;
    for (const [at, top] of clipped) context.fillRect(at - 1, top, 3, CLIP_MARK_PX); // the wave goes on beyond the edge
  }
}

// Clears from one x to another; past the right edge it goes on at the left.
function erase(context, fromX, untilX, width, height) {
  if (untilX >= fromX) {
    context.clearRect(fromX + 1, 0, untilX - fromX, height);
  } else {
    context.clearRect(fromX + 1, 0, width - fromX, height);
    context.clearRect(0, 0, untilX, height);
  }
}
