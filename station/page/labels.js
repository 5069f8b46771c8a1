// Texts of the page that are composed from the fields of a document.

const DIGITS = { s: 2, bpm: 0, ms: 0, mV: 2, "": 2 };
const N_STANDARD_LEADS = 12;

// "22:10:31" in the browser's time zone; "" without a time.
export function clockTime(iso) {
  if (!iso) return "";
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return new Date(iso).toLocaleTimeString([], options);
}

// "[1] PR 212 ms, lead II, 3.14–3.35 s"
export function citationLabel(citation) {
  const digits = DIGITS[citation.unit] ?? 2;
  const rounded = Number(Number(citation.value).toFixed(digits)) || 0; // 0 in place of -0
  const wave = citation.wave ? ` of ${citation.wave}` : "";
  const unit = citation.unit ? ` ${citation.unit}` : "";
  const measurement = `${citation.measure}${wave} ${rounded.toFixed(digits)}${unit}`;
  const span = `${citation.start_s.toFixed(2)}–${citation.end_s.toFixed(2)} s`;
  if (citation.reason) return `[${citation.n}] ${citation.reason}, ${measurement}, ${span}`; // CANNOT_ANALYZE
  return `[${citation.n}] ${measurement}, ${leadsLabel(citation.leads)}, ${span}`;
}

function leadsLabel(leads) {
  if (leads.length === 0) return "no lead";
  if (leads.length === N_STANDARD_LEADS) return "all 12 leads";
  return `${leads.length > 1 ? "leads" : "lead"} ${leads.join(", ")}`;
}

export function stateLabel(alert) {
  if (alert.state === "acknowledged" && alert.acknowledged) {
    return `acknowledged by ${alert.acknowledged.by} at ${clockTime(alert.acknowledged.at)}`;
  }
  if (alert.state === "latched") return "condition ended, latched until acknowledged";
  if (alert.state === "off") return "ended";
  if (alert.late) return "detected late, not sounded";
  if (alert.superseded_by) return "superseded by a higher-priority alarm";
  return alert.sounding ? "sounding" : "active";
}

// "GEM (gem-compact) · 1.4 s · claims: 2 supported, 1 contradicted"
export function interpretationLabel(interpretation) {
  const parts = [sourceLabel(interpretation), `${interpretation.seconds.toFixed(1)} s`];
  const counts = ["supported", "unsupported", "contradicted"]
    .filter((verdict) => interpretation.counts[verdict])
    .map((verdict) => `${interpretation.counts[verdict]} ${verdict}`);
  if (counts.length) parts.push(`claims: ${counts.join(", ")}`);
  return parts.join(" · ");
}

function sourceLabel({ source, model, reason }) {
  if (source === "gem") return model ? `GEM (${model.name})` : "GEM";
  return reason ? `rule-based report: ${reason}` : "rule-based report";
}
