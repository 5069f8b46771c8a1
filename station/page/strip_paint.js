// Draws a scene (strip_scene.js): paper, title, traces, cited intervals. Lengths are in CSS pixels of the context.

import { dateTime } from "./labels.js";
import { citationLabel } from "./measures.js";
import { isCitedIn, middleMm, MM_PER_S, spanIn, xMm } from "./strip_scene.js";

const FAMILY = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

export const DARK = {
  paper: "#0a1210",
  fine: "#13221d",
  coarse: "#1f3a30",
  trace: "#d3fbe8",
  title: "#f2f7f5",
  quiet: "#8fb0a4",
  cited: "rgba(255, 180, 84, .22)",
  near: "rgba(255, 180, 84, .06)",
  mark: "#ffb454",
  onMark: "#201300",
  clip: "#ff7a7a",
};
export const LIGHT = {
  paper: "#fffdfb",
  fine: "#fbe3dd",
  coarse: "#f0b8aa",
  trace: "#101418",
  title: "#101820",
  quiet: "#5a4a46",
  cited: "rgba(190, 90, 0, .20)",
  near: "rgba(190, 90, 0, .05)",
  mark: "#a84f00",
  onMark: "#ffffff",
  clip: "#c4002f",
};

// view: {pxPerMm, colours, marked: citations, hovered: number or null}
export function paintScene(context, scene, view) {
  const brush = { context, scene, px: view.pxPerMm, ...view };
  paintPaper(brush);
  paintTitle(brush);
  for (const panel of scene.panels) {
    for (const citation of view.marked) paintSpan(brush, panel, citation);
    paintPanel(brush, panel);
  }
  view.marked.forEach((citation, k) => paintBracket(brush, citation, k));
}

function paintPaper({ context, scene, px, colours }) {
  const [width, height] = [scene.widthMm * px, scene.heightMm * px];
  const [left, top] = [scene.leftMm * px, scene.titleMm * px];
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  context.lineWidth = 1;
  for (const [stepMm, colour] of [
    [1, colours.fine],
    [5, colours.coarse],
  ]) {
    if (stepMm * px < 2.5) continue;
    context.strokeStyle = colour;
    context.beginPath();
    for (let x = left; x < width; x += stepMm * px) {
      line(context, Math.round(x) + 0.5, top, Math.round(x) + 0.5, height);
    }
    for (let y = top; y < height; y += stepMm * px) {
      line(context, left, Math.round(y) + 0.5, width, Math.round(y) + 0.5);
    }
    context.stroke();
  }
  context.fillStyle = colours.quiet;
  context.font = font(2.5, px);
  context.textAlign = "center";
  for (let second = 0; second <= scene.seconds + 0.01; second += 1) {
    context.fillText(`${second} s`, left + second * MM_PER_S * px, (scene.titleMm + 3.4) * px);
  }
}

// Title, bed and time belong to the picture: whoever copies it has them.
function paintTitle({ context, scene, px, colours }) {
  const { alert } = scene;
  context.textAlign = "left";
  context.fillStyle = colours.title;
  context.font = font(3.9, px, 700);
  context.fillText(alert.title, 2 * px, 5.2 * px);
  const { width } = context.measureText(alert.title);
  context.font = font(3.3, px, 600);
  context.fillText(placeWords(alert), 2 * px + width + 3 * px, 5.2 * px);
  context.fillStyle = colours.quiet;
  context.font = font(2.8, px);
  context.fillText(`from ${dateTime(alert.segment.start)}`, 2 * px, 10 * px);
  context.textAlign = "right";
  const unusual = scene.gain !== 10;
  if (unusual) context.fillStyle = colours.mark;
  context.fillText(scaleWords(scene), (scene.widthMm - 2) * px, 10 * px);
}

export const placeWords = (alert) => [alert.bed_stream, alert.patient].filter(Boolean).join(" · ");
export const scaleWords = (scene) => `${MM_PER_S} mm/s · ${scene.gain} mm/mV${scene.gain === 10 ? "" : " (reduced)"}`;

function paintPanel(brush, panel) {
  const { context, scene, px, colours } = brush;
  const middle = middleMm(scene, panel) * px;
  const left = panel.from === 0 ? 1.5 * px : (xMm(scene, panel.from) + 0.8) * px;
  context.fillStyle = colours.trace;
  context.font = font(3.2, px, 700);
  context.textAlign = "left";
  context.fillText(panel.lead.name, left, middle - (panel.from === 0 ? -1.2 : scene.rowMm / 2 - 5.4) * px);
  if (panel.from === 0) paintCalibration(brush, middle);
  else paintSeparator(brush, panel, middle);
  paintTrace(brush, panel, middle);
}

// 1 mV
function paintCalibration({ context, scene, px, colours }, middle) {
  const x = (scene.leftMm - 3) * px;
  const top = middle - scene.gain * px;
  context.strokeStyle = colours.quiet;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x - 0.8 * px, middle);
  for (const [atX, atY] of [
    [x, middle],
    [x, top],
    [x + 1.8 * px, top],
    [x + 1.8 * px, middle],
  ]) {
    context.lineTo(atX, atY);
  }
  context.stroke();
}

function paintSeparator({ context, scene, px, colours }, panel, middle) {
  const x = xMm(scene, panel.from) * px;
  context.strokeStyle = colours.quiet;
  context.lineWidth = 1;
  context.beginPath();
  line(context, x, middle - 3 * px, x, middle + 3 * px);
  context.stroke();
}

function paintTrace({ context, scene, px, colours }, panel, middle) {
  const { mv, baseline } = panel.lead;
  const limit = scene.limitMm * px;
  const clipped = [];
  context.strokeStyle = colours.trace;
  context.lineWidth = Math.max(1.1, px * 0.28);
  context.lineJoin = "round";
  context.beginPath();
  let connected = false;
  for (let k = panel.from; k < panel.to; k += 1) {
    const missing = Number.isNaN(mv[k]);
    if (!missing) {
      const height = (mv[k] - baseline) * scene.gain * px;
      const x = xMm(scene, k) * px;
      if (Math.abs(height) > limit) clipped.push([x, height > 0 ? middle - limit : middle + limit, Math.sign(height)]);
      const y = middle - Math.max(-limit, Math.min(limit, height));
      if (connected) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
    connected = !missing;
  }
  context.stroke();
  context.fillStyle = colours.clip; // the wave goes on beyond the mark
  for (const [x, y, sign] of clipped) triangle(context, x, y, sign * 4);
}

function paintSpan({ context, scene, px, colours }, panel, citation) {
  const span = spanIn(panel, citation);
  if (!span) return;
  const start = xMm(scene, span.from) * px;
  context.fillStyle = isCitedIn(panel, citation) ? colours.cited : colours.near;
  const top = (middleMm(scene, panel) - scene.rowMm / 2) * px;
  context.fillRect(start, top, Math.max(2, xMm(scene, span.to) * px - start), scene.rowMm * px);
}

// A bracket over the cited leads, a triangle at each cited beat, and the number; the hovered one has its measurement.
function paintBracket(brush, citation, k) {
  const { context, scene, px, colours, hovered, marked } = brush;
  const shown = scene.panels.filter((panel) => isCitedIn(panel, citation) && spanIn(panel, citation));
  const panels = shown.length ? shown : scene.panels.filter((panel) => spanIn(panel, citation)).slice(0, 1);
  if (!panels.length) return;
  const strong = hovered === citation.n || marked.length === 1;
  const first = panels.reduce((a, b) => (b.row < a.row ? b : a));
  const span = spanIn(first, citation);
  const [start, end] = [xMm(scene, span.from) * px, xMm(scene, span.to) * px];
  const top = (middleMm(scene, first) - scene.rowMm / 2 + 0.6) * px;
  context.strokeStyle = context.fillStyle = colours.mark;
  context.lineWidth = strong ? 2 : 1.2;
  context.beginPath();
  context.moveTo(start, top + 2.5 * px);
  context.lineTo(start, top);
  context.lineTo(end, top);
  context.lineTo(end, top + 2.5 * px);
  context.stroke();
  if (strong) {
    for (const beat of citation.beats) {
      if (beat.r_sample >= first.from && beat.r_sample < first.to) {
        triangle(context, xMm(scene, beat.r_sample) * px, top + 5, -5);
      }
    }
  }
  const words = strong
    ? `[${citation.n}] ${citationLabel(citation, scene.alert.kind === "technical")}`
    : `[${citation.n}]`;
  paintLabel(brush, words, (start + end) / 2, top + (strong ? scene.rowMm - 6.4 : (k % 3) * 4) * px);
}

function paintLabel({ context, scene, px, colours }, text, middle, top) {
  context.font = font(2.8, px, 650);
  const [width, height] = [context.measureText(text).width + 2.6 * px, 4.4 * px];
  const rightmost = scene.widthMm * px - width - 2;
  const x = Math.max(scene.leftMm * px, Math.min(rightmost, middle - width / 2));
  context.fillStyle = colours.mark;
  context.fillRect(x, top, width, height);
  context.fillStyle = colours.onMark;
  context.textAlign = "left";
  context.fillText(text, x + 1.3 * px, top + 3.2 * px);
}

export const font = (mm, px, weight = 400) => `${weight} ${Math.max(10.5, mm * px)}px ${FAMILY}`;

function line(context, x0, y0, x1, y1) {
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
}

// size above zero: the tip is up
function triangle(context, x, tip, size) {
  context.beginPath();
  context.moveTo(x - 4, tip + size);
  context.lineTo(x + 4, tip + size);
  context.lineTo(x, tip);
  context.closePath();
  context.fill();
}
