// The strip of an alert: the signal of its flagged segment, in millivolts.

import { getJson } from "./http.js";

const MISSING_SAMPLE = -32768;

export async function fetchStrip(alertId) {
  return decodeStrip(await getJson(`api/strips/${encodeURIComponent(alertId)}`));
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
