// Texts of the page that are composed from the fields of a document.

import { serverClock } from "./server_clock.js";
import { isOver } from "./urgency.js";

const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
const DATE = { day: "2-digit", month: "short" };

// "22:10:31" in the browser's time zone, with the date on another day than today; "" without a time.
export function clockTime(iso) {
  if (!iso) return "";
  const time = new Date(iso);
  const words = time.toLocaleTimeString([], TIME);
  const today = new Date(serverClock.now()).toDateString() === time.toDateString();
  return today ? words : `${time.toLocaleDateString("en-GB", DATE)} ${words}`;
}

// "27 Nov 2026 22:10:31"
export function dateTime(iso) {
  if (!iso) return "";
  const time = new Date(iso);
  return `${time.toLocaleDateString("en-GB", { ...DATE, year: "numeric" })} ${time.toLocaleTimeString([], TIME)}`;
}

// "42 s", "12 min", "3 h 05 min"
export function durationWords(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

// "1:42": what is left of a pause
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export const sinceOnset = (alert) => durationWords(serverClock.now() - Date.parse(alert.onset));

export const acknowledgedLabel = ({ acknowledged }) =>
  acknowledged ? `acknowledged by ${acknowledged.by} at ${clockTime(acknowledged.at)}` : "";

// One word for the state, in capitals on tiles.
export function stateWord(alert) {
  if (alert.state === "off") return "ended";
  if (alert.late) return "late";
  return isOver(alert) ? "over" : "present";
}

// The state in words: who acknowledged is said as long as the alert is displayed.
export function stateLabel(alert) {
  const by = acknowledgedLabel(alert);
  if (alert.state === "off") return by ? `ended, ${by}` : "ended";
  if (by) return isOver(alert) ? `over, ${by}` : `present, ${by}`;
  if (alert.state === "latched") return "over, nobody has acknowledged it";
  if (alert.late) return "detected late, not sounded";
  if (alert.superseded_by) return "superseded by a higher-priority alarm";
  return alert.sounding ? "present, sounding" : "present";
}

// "GEM (gem-compact) · 1.4 s · claims: 2 supported, 1 contradicted"
export function interpretationLabel(interpretation) {
  const { seconds } = interpretation;
  const parts = [sourceLabel(interpretation), typeof seconds === "number" ? `${seconds.toFixed(1)} s` : ""];
  const counts = ["supported", "unsupported", "contradicted"]
    .filter((verdict) => interpretation.counts?.[verdict])
    .map((verdict) => `${interpretation.counts[verdict]} ${VERDICT_WORDS[verdict]}`);
  if (counts.length) parts.push(`findings: ${counts.join(", ")}`);
  return parts.filter(Boolean).join(" · ");
}

export const VERDICT_WORDS = {
  supported: "confirmed by measurement", unsupported: "not confirmed", contradicted: "contradicted and left out",
};

function sourceLabel({ source, model, reason }) {
  if (source === "gem") return model ? `GEM (${model.name})` : "GEM";
  return reason ? `rule-based report: ${reason}` : "rule-based report";
}

// The mark of the independent verification: {ok, words}, or null where it was not verified.
export function verificationMark(interpretation) {
  const verified = interpretation?.verified;
  if (verified === null || verified === undefined) return null;
  const ok = typeof verified === "object" ? verified.ok === true : verified === true;
  const n = typeof verified === "object" ? verified.checked : null;
  const checked = typeof n === "number" ? `${n} statements` : "every statement";
  return { ok, words: ok ? `verified independently: ${checked} measured again` : "verification found a fault" };
}
