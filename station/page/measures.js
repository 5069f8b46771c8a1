// Measured values in the words of monitors and ECG reports.

const DIGITS = { s: 2, bpm: 0, ms: 0, mV: 2, "": 2 };
const WORDS = {
  RR: "RR interval", HR: "heart rate", P: "P wave", PR: "PR interval", QRS: "QRS duration", QT: "QT interval",
  QTc: "QTc (Bazett)", QTcF: "QTc (Fridericia)", ST: "ST level", AMPLITUDE: "amplitude", REGULARITY: "RR variability",
  ABSENT_P: "beats without P wave", QUALITY: "signal quality", SILENCE: "no beat for",
};
const SHORT_WORDS = { QTc: "QTc", QTcF: "QTcF", SILENCE: "no beat" };
const PERCENT = ["REGULARITY", "ABSENT_P", "QUALITY"];
const NO_DATA_FOR = "no data for"; // SILENCE of a technical alarm
const N_STANDARD_LEADS = 12;

// Unit of a code's limit, where it can stand beside the measured value.
const LIMIT_UNITS = {
  ASYSTOLE: "s", PAUSE: "s", MISSED_BEAT: "s", PACER_NOT_PACING: "s", SILENT_FEED: "s", CANNOT_ANALYZE: "s",
  VTACH: "bpm", VRUN: "bpm", VRHYTHM: "bpm", EXTREME_BRADY: "bpm", EXTREME_TACHY: "bpm", BRADY: "bpm", TACHY: "bpm",
  SVT: "bpm", ST_ELEVATION: "mV", ST_DEPRESSION: "mV", QT_LONG: "ms", WIDE_QRS: "ms", PR_LONG: "ms", R_ON_T: "ms",
};

export function measureWords(citation, technical = false) {
  if (citation.measure === "SILENCE" && technical) return NO_DATA_FOR;
  const words = WORDS[citation.measure] ?? citation.measure;
  return citation.wave ? `${words} of ${citation.wave}` : words;
}

// "4.62 s", "35 bpm", "1 %"
export function valueWords(value, unit, measure = "") {
  const number = Number(value);
  if (value === null || value === undefined || Number.isNaN(number)) return "–";
  if (PERCENT.includes(measure)) return `${Math.round(number * 100)} %`;
  const digits = DIGITS[unit] ?? 2;
  const rounded = Number(number.toFixed(digits)) || 0; // 0 in place of -0
  return `${rounded.toFixed(digits)}${unit ? ` ${unit}` : ""}`;
}

// "limit 4.0 s", or "" where the limit is not of the kind of the value.
export function limitWords(alert, citation) {
  const limit = citation?.criterion?.limit;
  if (typeof limit !== "number" || LIMIT_UNITS[alert.code] !== citation.unit) return "";
  const digits = citation.unit === "s" ? 1 : citation.unit === "mV" ? 2 : 0;
  return `limit ${limit.toFixed(digits)} ${citation.unit}`;
}

// The measured value of the alarm's own finding against its limit: {value, short, limit}, or null without a citation;
// short: for the width of a tile.
export function finding(alert) {
  const citation = alert.citations?.[0];
  if (!citation) return null;
  const technical = alert.kind === "technical";
  const words = `${measureWords(citation, technical)} ${valueWords(citation.value, citation.unit, citation.measure)}`;
  const limit = limitWords(alert, citation);
  // A silence is detected within measuring accuracy of its limit, and goes on then.
  const early = !technical && citation.measure === "SILENCE" && limit && citation.value < citation.criterion.limit;
  const name = technical ? null : SHORT_WORDS[citation.measure];
  const short = name ? `${name} ${early ? "≥ " : ""}${valueWords(citation.value, citation.unit)}` : words;
  return { value: early ? `${words} and continuing` : words, short, limit };
}

// "RR interval 4.62 s · leads II, V1 · 3.14–7.76 s"
export function citationLabel(citation, technical = false) {
  const value = `${measureWords(citation, technical)} ${valueWords(citation.value, citation.unit, citation.measure)}`;
  const span = `${citation.start_s.toFixed(2)}–${citation.end_s.toFixed(2)} s`;
  const place = citation.reason ?? leadsLabel(citation.leads);
  return `${value} · ${place} · ${span}`;
}

export function leadsLabel(leads) {
  if (leads.length === 0) return "no lead";
  if (leads.length === N_STANDARD_LEADS) return "all 12 leads";
  return `${leads.length > 1 ? "leads" : "lead"} ${leads.join(", ")}`;
}
