// Where everything of a strip lies on its paper, in millimetres: 25 mm/s, 10 mm/mV unless the signal needs less.
//
// A scene is one value of an alert, its strip and its layout: title, bed and signal are never of two alerts.

export const MM_PER_S = 25;
const GAINS_MM_PER_MV = [10, 5, 2.5, 1];
const TITLE_MM = 13; // title, bed and time, and the scale
const AXIS_MM = 5; // seconds
const LEFT_MM = 12; // lead name and calibration pulse
const RIGHT_MM = 4;
const BOTTOM_MM = 3;
const ROW_MM = 21;
const PAGE_ROW_MM = 24;
const MAX_ROW_SHARE = 1.3; // a trace may leave its row by this much before it is clipped
const PAGE_COLUMNS = [["I", "II", "III"], ["aVR", "aVL", "aVF"], ["V1", "V2", "V3"], ["V4", "V5", "V6"]];
const RHYTHM_LEAD = "II";

export const isPage = (strip) => PAGE_COLUMNS.flat().every((name) => strip.leads.some((lead) => lead.name === name));

// layout: "page" (3 × 4 + 1) or "rows"; first: names of leads whose rows come first
export function makeScene(alert, strip, layout, first = []) {
  const page = layout === "page" && isPage(strip);
  const leads = strip.leads.map((lead) => ({ ...lead, ...extent(lead.mv) }));
  const rowMm = page ? PAGE_ROW_MM : ROW_MM;
  const highest = Math.max(0, ...leads.map((lead) => lead.highest));
  const fits = (gain) => highest * gain <= (rowMm / 2) * MAX_ROW_SHARE;
  const gain = GAINS_MM_PER_MV.find(fits) ?? GAINS_MM_PER_MV[GAINS_MM_PER_MV.length - 1];
  const panels = page ? pagePanels(leads, strip) : rowPanels(leads, strip, first);
  const nRows = Math.max(...panels.map((panel) => panel.row)) + 1;
  return {
    alert, strip, layout: page ? "page" : "rows", panels, gain, rowMm,
    limitMm: (rowMm / 2) * MAX_ROW_SHARE,
    seconds: strip.nSamples / strip.fsHz,
    leftMm: LEFT_MM,
    topMm: TITLE_MM + AXIS_MM,
    titleMm: TITLE_MM,
    widthMm: LEFT_MM + (strip.nSamples / strip.fsHz) * MM_PER_S + RIGHT_MM,
    heightMm: TITLE_MM + AXIS_MM + nRows * rowMm + BOTTOM_MM,
  };
}

function rowPanels(leads, strip, first) {
  const isFirst = (lead) => first.includes(lead.name);
  const sorted = [...leads].sort((a, b) => isFirst(b) - isFirst(a));
  return sorted.map((lead, row) => ({ lead, row, from: 0, to: strip.nSamples }));
}

function pagePanels(leads, strip) {
  const lead = (name) => leads.find((found) => found.name === name);
  const n = strip.nSamples / PAGE_COLUMNS.length;
  const panels = PAGE_COLUMNS.flatMap((column, k) =>
    column.map((name, row) => ({ lead: lead(name), row, from: Math.round(k * n), to: Math.round((k + 1) * n) })));
  return [...panels, { lead: lead(RHYTHM_LEAD), row: PAGE_COLUMNS[0].length, from: 0, to: strip.nSamples }];
}

// The median, which is drawn in the middle of the row, and the greatest distance from it.
function extent(mv) {
  const present = mv.filter((value) => !Number.isNaN(value)).sort();
  if (!present.length) return { baseline: 0, highest: 0 };
  const baseline = present[present.length >> 1];
  return { baseline, highest: Math.max(present[present.length - 1] - baseline, baseline - present[0]) };
}

export const xMm = (scene, sample) => scene.leftMm + (sample / scene.strip.fsHz) * MM_PER_S;
export const sampleAt = (scene, mm) =>
  Math.max(0, Math.min(scene.strip.nSamples - 1, Math.round(((mm - scene.leftMm) / MM_PER_S) * scene.strip.fsHz)));
export const middleMm = (scene, panel) => scene.topMm + (panel.row + 0.5) * scene.rowMm;

// The panel under a point, or null.
export function panelAt(scene, xMillimetres, yMillimetres) {
  const sample = sampleAt(scene, xMillimetres);
  const row = Math.floor((yMillimetres - scene.topMm) / scene.rowMm);
  return scene.panels.find((panel) => panel.row === row && sample >= panel.from && sample < panel.to) ?? null;
}

// The part of a citation that a panel shows, {from, to} in samples, or null.
export function spanIn(panel, citation) {
  const from = Math.max(panel.from, citation.start_sample);
  const to = Math.min(panel.to, citation.end_sample);
  const shown = from < to || (from === to && from > panel.from);
  return shown ? { from, to } : null;
}

export const isCitedIn = (panel, citation) => citation.leads.includes(panel.lead.name);

// Citations that a page of 3 × 4 + 1 does not show on any of their leads: those need a row for each lead.
export function needsRows(scene, citations) {
  return citations.some((citation) => citation.leads.length > 0 &&
    !scene.panels.some((panel) => isCitedIn(panel, citation) && covers(panel, citation)));
}

const covers = (panel, citation) => citation.start_sample >= panel.from && citation.end_sample <= panel.to;
