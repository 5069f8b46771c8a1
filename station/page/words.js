// Words and numbers as the page shows them. Nothing here builds HTML: text reaches the page through textContent only.

export const PRIORITIES = ["PH", "PM", "PL", "PN"];
export const PRIORITY_WORDS = { PH: "high", PM: "medium", PL: "low", PN: "advisory" };

// An element with text and attributes; data never becomes markup.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    const told = name.startsWith("data-") || name.startsWith("aria-"); // these say "true" and "false" in words
    if (value === null || value === undefined || (value === false && !told)) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true && !told ? "" : String(value));
  }
  made.append(...children.filter((c) => c !== null && c !== undefined));
  return made;
}

export const clockTime = (iso) => (iso ? new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }) : "");

const DIGITS = { s: 2, bpm: 0, ms: 0, mV: 2, "": 2 };

// "[1] PR 212 ms, lead II, 3.14–3.35 s"
export function citationWords(c) {
  const digits = DIGITS[c.unit] ?? 2;
  const value = (Number(Number(c.value).toFixed(digits)) || 0).toFixed(digits);  // no minus before a zero
  const leads = c.leads.length === 0 ? "no lead" : c.leads.length === 12 ? "all twelve leads" : `${c.leads.length > 1 ? "leads" : "lead"} ${c.leads.join(", ")}`;
  const wave = c.wave ? ` of ${c.wave}` : "";
  return `[${c.n}] ${c.measure}${wave} ${value}${c.unit ? ` ${c.unit}` : ""}, ${leads}, ${c.start_s.toFixed(2)}–${c.end_s.toFixed(2)} s`;
}

export function stateWords(alert) {
  if (alert.state === "acknowledged" && alert.acknowledged) return `acknowledged by ${alert.acknowledged.by} at ${clockTime(alert.acknowledged.at)}`;
  if (alert.state === "latched") return "condition over, latched until acknowledged";
  if (alert.state === "off") return "over";
  if (alert.late) return "seen late, not sounded";
  if (alert.superseded_by) return "a worse alarm sounds for it";
  return alert.sounding ? "sounding" : "on";
}

// Worst first, then the newest.
export function byUrgency(a, b) {
  const open = (x) => (x.state === "off" ? 1 : 0);
  const rank = (x) => PRIORITIES.indexOf(x.priority);
  const answered = (x) => (x.state === "acknowledged" ? 1 : 0);
  return open(a) - open(b) || answered(a) - answered(b) || rank(a) - rank(b) || (a.onset < b.onset ? 1 : -1);
}
