// The list of alerts: state, interpretation with its claims, and citations that open the strip.

import { byUrgency, citationWords, clockTime, element, PRIORITY_WORDS, stateWords } from "./words.js";

const OVER_SHOWN = 12; // alerts that are off stay in the list while they are among the newest of these

export class Alerts {
  // on: {select(alert), cite(alert, citation), acknowledge(alert), silence(alert)}
  constructor(root, on) {
    this.root = root;
    this.on = on;
    this.byId = new Map();
    this.cards = new Map(); // id → {version, card}
    this.selected = null;
    this.cited = null; // number of the citation that the strip shows
  }

  get all() {
    return [...this.byId.values()];
  }

  // A version that is there already, or older, changes nothing.
  take(alert) {
    const known = this.byId.get(alert.id);
    if (known && known.version >= alert.version) return false;
    this.byId.set(alert.id, alert);
    return true;
  }

  get shown() {
    const sorted = this.all.sort(byUrgency);
    const open = sorted.filter((a) => a.state !== "off");
    const over = sorted.filter((a) => a.state === "off").sort((a, b) => (a.onset < b.onset ? 1 : -1));
    for (const old of over.slice(OVER_SHOWN * 4)) this.byId.delete(old.id);
    return [...open, ...over.slice(0, OVER_SHOWN)];
  }

  draw() {
    const shown = this.shown;
    const focus = document.activeElement?.dataset?.key;
    const cards = shown.map((alert) => this.card(alert));
    cards.forEach((card, k) => { if (this.root.children[k] !== card) this.root.insertBefore(card, this.root.children[k] ?? null); });
    while (this.root.children.length > cards.length) this.root.lastChild.remove();
    const ids = new Set(shown.map((a) => a.id));
    for (const id of this.cards.keys()) if (!ids.has(id)) this.cards.delete(id);
    if (focus && document.activeElement?.dataset?.key !== focus) this.root.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  }

  card(alert) {
    const open = this.selected === alert.id;
    const key = `${alert.version}/${open}/${open ? this.cited : ""}`;
    const known = this.cards.get(alert.id);
    if (known?.key === key) return known.card;
    const flash = alert.state !== "acknowledged" && alert.state !== "off" && !alert.superseded_by;
    const head = element("button", {
      type: "button", class: "head alarm", "data-key": `head-${alert.id}`, "data-priority": alert.state === "off" ? "PN" : alert.priority,
      "data-flash": flash, "aria-expanded": open, onclick: () => this.on.select(alert),
    }, element("strong", {}, alert.title), element("strong", { class: "right" }, alert.bed_stream),
      element("span", {}, stateWords(alert)), element("span", { class: "right" }, `${PRIORITY_WORDS[alert.priority]} · ${clockTime(alert.onset)}`));
    const body = element("div", { class: "body" }, this.interpretation(alert, open), this.citations(alert, open), this.actions(alert));
    const card = element("li", { class: "alert", "data-id": alert.id, "data-code": alert.code, "data-state": alert.state, "aria-current": open ? "true" : null }, head, body);
    known?.card.replaceWith(card);
    this.cards.set(alert.id, { key, card });
    return card;
  }

  citeButton(alert, citation, words, where) {
    const pressed = this.selected === alert.id && this.cited === citation.n;
    return element("button", {
      type: "button", class: "cite", "data-n": citation.n, "data-key": `cite-${alert.id}-${citation.n}-${where}`, "aria-pressed": pressed,
      title: citation.criterion ? citation.criterion.rule : citationWords(citation), onclick: () => this.on.cite(alert, citation),
    }, words);
  }

  interpretation(alert, open) {
    const reading = alert.interpretation;
    if (!reading) return alert.kind === "technical" ? null : element("p", { class: "source" }, "Interpretation follows.");
    const text = element("p", { class: "text" }, ...this.prose(alert, reading));
    const { supported, contradicted, unsupported } = reading.counts;
    const counts = [supported && `${supported} supported`, unsupported && `${unsupported} unsupported`, contradicted && `${contradicted} contradicted`].filter(Boolean).join(", ");
    const who = reading.source === "gem" ? `GEM${reading.model ? ` (${reading.model.name})` : ""}` : `from the measurements${reading.reason ? `: ${reading.reason}` : ""}`;
    return element("div", {}, text, element("p", { class: "source" }, `${who} · ${reading.seconds.toFixed(1)} s${counts ? ` · claims: ${counts}` : ""}`));
  }

  // The text with each claim marked by its verdict and each [n] as a button. Positions count code points; the text's own
  // strike-through marks (~~) are shown as one.
  prose(alert, reading) {
    const points = Array.from(reading.text);
    const claims = [...reading.claims].sort((a, b) => a.start - b.start);
    const parts = [];
    let at = 0;
    for (const claim of claims) {
      if (claim.start < at || claim.end > points.length) continue;
      parts.push(...this.withCitations(alert, points.slice(at, claim.start).join("")));
      const tag = claim.verdict === "contradicted" ? "s" : "span";
      parts.push(element(tag, { class: "claim", "data-verdict": claim.verdict, title: `${claim.verdict}: ${claim.rule}` },
        ...this.withCitations(alert, points.slice(claim.start, claim.end).join(""))));
      at = claim.end;
    }
    parts.push(...this.withCitations(alert, points.slice(at).join("")));
    return parts;
  }

  withCitations(alert, text) {
    return text.replaceAll("~~", "").split(/(\[\d+\])/).filter((piece) => piece !== "").map((piece) => {
      const n = /^\[(\d+)\]$/.exec(piece)?.[1];
      const citation = n && alert.citations.find((c) => c.n === Number(n));
      return citation ? this.citeButton(alert, citation, piece, "text") : piece;
    });
  }

  citations(alert, open) {
    if (!alert.citations.length) return null;
    const shown = open ? alert.citations : alert.citations.slice(0, 2);
    const rest = alert.citations.length - shown.length;
    return element("div", { class: "citations", "aria-label": "Cited intervals" },
      ...shown.map((c) => this.citeButton(alert, c, citationWords(c), "list")), rest ? element("span", { class: "source" }, `and ${rest} more`) : null);
  }

  actions(alert) {
    if (alert.state === "off" || alert.bed_stream === "_system") return null;
    const acknowledged = alert.state === "acknowledged";
    return element("div", { class: "actions" },
      acknowledged ? null : element("button", { type: "button", class: "ack", "data-key": `ack-${alert.id}`, onclick: () => this.on.acknowledge(alert) }, "Acknowledge"),
      alert.sounding ? element("button", { type: "button", class: "silence", "data-key": `silence-${alert.id}`, onclick: () => this.on.silence(alert) }, "Silence 2 min") : null,
      alert.reminders ? element("span", { class: "state" }, `reminded ${alert.reminders}×`) : null);
  }
}
