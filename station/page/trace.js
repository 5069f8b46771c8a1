// The live trace of a bed: a sweep with an erase bar. It is drawn 1.3 s after the samples' own time, so that it moves
// evenly although a message with one second of signal comes once a second.

import { fitCanvas } from "./canvas.js";

const SWEEP_S = 6;
const DELAY_S = 1.3;
const ERASE_S = 0.25; // width of the erase bar
const HALF_HEIGHT_MV = 1.6; // displayed range on each side of the baseline
const MAX_DRIFT_S = 1; // a larger change of the delay restarts the sweep
const KEPT_SWEEPS = 3;
const BASELINE_WEIGHT = 0.3; // of the newest message's median

export class Trace {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = []; // [time s, mV or null], ascending
    this.offsetS = null; // browser clock less signal time
    this.drawnUntilS = null;
    this.baselineMv = 0;
  }

  push(wave) {
    const startS = Date.parse(wave.start) / 1000;
    const stepS = 1 / wave.sampling_rate;
    const endS = startS + wave.mv.length * stepS;
    this.append(wave.mv, startS, stepS);
    const offsetS = performance.now() / 1000 - endS;
    if (this.offsetS === null || Math.abs(offsetS - this.offsetS) > MAX_DRIFT_S) {
      this.offsetS = offsetS;
      this.drawnUntilS = null;
    }
    const present = wave.mv.filter((mv) => mv !== null).sort((a, b) => a - b);
    if (present.length) this.baselineMv += BASELINE_WEIGHT * (present[present.length >> 1] - this.baselineMv);
  }

  append(mv, startS, stepS) {
    const lastS = this.samples.length ? this.samples[this.samples.length - 1][0] : -Infinity;
    mv.forEach((value, k) => {
      const timeS = startS + k * stepS;
      if (timeS > lastS + stepS / 2) this.samples.push([timeS, value]);
    });
    const oldestS = startS + mv.length * stepS - KEPT_SWEEPS * SWEEP_S;
    while (this.samples.length && this.samples[0][0] < oldestS) this.samples.shift();
  }

  draw(colour) {
    if (this.offsetS === null) return;
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const { context, resized } = fitCanvas(canvas, width, height);
    if (resized) this.drawnUntilS = null;
    const untilS = performance.now() / 1000 - this.offsetS - DELAY_S;
    const fromS = this.drawnUntilS ?? untilS - SWEEP_S + ERASE_S;
    if (this.drawnUntilS === null) context.clearRect(0, 0, width, height);
    const x = (timeS) => ((timeS / SWEEP_S) % 1) * width;
    erase(context, x(fromS), x(untilS + ERASE_S), width, height);
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    this.stroke(context, fromS, untilS, x, height);
    this.drawnUntilS = untilS;
  }

  stroke(context, fromS, untilS, x, height) {
    const y = (mv) => {
      const relative = Math.max(-1, Math.min(1, (mv - this.baselineMv) / HALF_HEIGHT_MV));
      return height / 2 - relative * (height / 2 - 3);
    };
    context.beginPath();
    let connected = false;
    let previousX = 0;
    for (const [timeS, mv] of this.samples) {
      if (timeS < fromS - 0.02) continue;
      if (timeS > untilS) break;
      if (mv === null || x(timeS) < previousX) connected = false; // a missing sample, or the next sweep
      if (mv !== null) {
        if (connected) context.lineTo(x(timeS), y(mv));
        else context.moveTo(x(timeS), y(mv));
        connected = true;
      }
      previousX = x(timeS);
    }
    context.stroke();
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
