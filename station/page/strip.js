// The strip of an alert: the signal of its flagged segment, in millivolts.

import { getJson } from "./http.js";

const MISSING_SAMPLE = -32768;
const KEPT = 24; // strips; one of 12 leads has 120 kB, and a page is open for weeks

const strips = new Map(); // alert id → promise of its strip

export function fetchStrip(alertId) {
  if (!strips.has(alertId)) {
    const fetched = getJson(`api/strips/${encodeURIComponent(alertId)}`).then(decodeStrip);
    fetched.catch(() => strips.delete(alertId));
    strips.set(alertId, fetched);
    if (strips.size > KEPT) strips.delete(strips.keys().next().value);
  }
  return strips.get(alertId);
}

// doc.samples: int16 [lead][sample], little-endian, in base64. Result: {fsHz, nSamples, leads: [{name, mv}]}, NaN where
// a sample is missing.
export function decodeStrip(doc) {
  const bytes = Uint8Array.from(atob(doc.samples), (character) => character.charCodeAt(0));
  const units = new Int16Array(bytes.buffer);
  const leads = doc.leads.map((name, k) => {
    const toMv = (unit) => (unit === MISSING_SAMPLE ? NaN : (unit * doc.lsb_uv[k]) / 1000);
    return { name, mv: Float32Array.from(units.subarray(k * doc.n_samples, (k + 1) * doc.n_samples), toMv) };
  });
  return { fsHz: doc.sampling_rate, nSamples: doc.n_samples, leads };
}
