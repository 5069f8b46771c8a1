// The reader under the beds: strip, text, measurements and origin of the selected alert.

import { badge } from "./badge.js";
import { citationList, citeButton } from "./citation_list.js";
import { byId, element } from "./element.js";
import { getJson } from "./http.js";
import { interpretationText } from "./interpretation_text.js";
import { clockTime, dateTime, interpretationLabel, stateLabel, verificationMark } from "./labels.js";
import { fetchStrip } from "./strip.js";
import { isPage } from "./strip_scene.js";
import { StripView } from "./strip_view.js";
import { isOff } from "./urgency.js";

export class AlertReader {
  // handlers: {acknowledge(alert), silence(alert), close()}
  constructor(selection, handlers) {
    this.selection = selection;
    this.handlers = handlers;
    this.alert = null;
    this.hovered = null;
    this.view = new StripView(byId("strip-canvas"), byId("strip-scroll"), (n) => this.hover(n, false));
    this.before = new StripView(byId("before-canvas"), byId("strip-scroll"));
    this.before.layout = "rows";
    byId("reader-layout").addEventListener("click", () => this.toggleLayout());
    byId("reader-before").addEventListener("click", () => this.toggleBefore());
    byId("reader-png").addEventListener("click", () => this.savePicture());
    byId("reader-json").addEventListener("click", () => this.saveJson());
    byId("reader-report").addEventListener("click", () =>
      window.open(`report?id=${this.alert.id}`, "_blank", "noopener"),
    );
    // On the whole text: a button that is drawn anew under the pointer never says that the pointer left it.
    const overNumber = ({ target }) => Number(target.closest(".cite")?.dataset.n) || null;
    byId("reader-text").addEventListener("pointerover", (event) => this.hover(overNumber(event)));
    byId("reader-text").addEventListener("pointerleave", () => this.hover(null));
    byId("reader-close").addEventListener("click", () => handlers.close());
  }

  show(alert) {
    const other = this.alert?.id !== alert.id;
    this.alert = alert;
    byId("reader").hidden = false;
    byId("reader").dataset.alert = alert.id;
    if (other) this.hideBefore();
    this.drawHead();
    this.drawText();
    if (other || !this.view.shown?.strip) this.loadStrip();
    else this.view.show(alert, this.view.shown.strip); // the strip of an alert stays; its citations may be new
    this.markCitations();
  }

  hide() {
    this.alert = null;
    byId("reader").hidden = true;
    this.hideBefore();
  }

  // The strip belongs to the alert that is shown now, or is not drawn.
  async loadStrip() {
    const { alert } = this;
    if (!alert.segment) {
      this.view.show(alert, null, "This alarm has no strip.");
      return;
    }
    this.view.show(alert, null, "Loading the strip …");
    try {
      const strip = await fetchStrip(alert.id);
      if (this.alert?.id !== alert.id) return;
      this.view.show(this.alert, strip);
      byId("reader-layout").hidden = !isPage(strip);
      this.markCitations();
    } catch (error) {
      if (this.alert?.id === alert.id) this.view.show(this.alert, null, `The strip is not available: ${error.message}`);
    }
  }

  drawHead() {
    const { alert } = this;
    const buttons = [
      alert.acknowledged || isOff(alert) ? null : this.button("ack", "Acknowledge", this.handlers.acknowledge),
      alert.sounding ? this.button("silence", "Pause audio 2 min", this.handlers.silence) : null,
    ].filter(Boolean);
    byId("reader-head").replaceChildren(
      badge(alert.priority),
      element(
        "div",
        {},
        element("h2", { id: "reader-title" }, `${alert.title} · ${alert.bed_stream}`),
        element("p", { class: "quiet" }, `${stateLabel(alert)} · since ${clockTime(alert.onset)}`),
      ),
      ...buttons,
    );
  }

  button(name, label, handler) {
    return element("button", { type: "button", class: name, onclick: () => handler(this.alert) }, label);
  }

  drawText() {
    const { alert } = this;
    const handlers = { cite: (n) => this.cite(n), hover: (n) => this.hover(n) };
    const { interpretation } = alert;
    const buttonOf = (n, text) =>
      alert.citations.some((citation) => citation.n === n) ? citeButton(n, text, "text", handlers) : null;
    const said = interpretation
      ? [
          element("p", { class: "text" }, ...interpretationText(interpretation, buttonOf)),
          element("p", { class: "source" }, interpretationLabel(interpretation)),
          mark(interpretation),
        ]
      : [
          element(
            "p",
            { class: "source" },
            alert.kind === "technical" ? "A technical alarm is not interpreted." : "Interpretation pending.",
          ),
        ];
    byId("reader-text").replaceChildren(
      element("h3", {}, "Interpretation"),
      ...said.filter(Boolean),
      element("h3", {}, "Measurements"),
      citationList(alert, handlers),
      element("h3", {}, "Origin"),
      provenance(alert),
    );
  }

  cite(n) {
    this.selection.toggle(n);
    this.markCitations();
  }

  // arrange: true when the pointer is on a measurement of the list, false when it is on the strip
  hover(n, arrange = n !== null) {
    if (this.hovered === n) return;
    this.hovered = n;
    this.markCitations(arrange);
  }

  markCitations(arrange = true) {
    if (!this.alert) return;
    const { marked } = this.selection;
    this.view.mark(
      this.alert.citations.filter(({ n }) => marked.has(n) || n === this.hovered),
      this.hovered,
      arrange,
    );
    for (const button of byId("reader-text").querySelectorAll(".cite")) {
      const n = Number(button.dataset.n);
      button.setAttribute("aria-pressed", String(marked.has(n)));
      button.dataset.hover = String(n === this.hovered);
    }
    const words = this.alert.citations
      .filter(({ n }) => marked.has(n))
      .map(({ n }) => `[${n}]`)
      .join(" ");
    byId("strip-span").textContent = words ? `marked: ${words}` : "";
  }

  toggleLayout() {
    this.view.setLayout(this.view.layout === "page" ? "rows" : "page");
    byId("reader-layout").textContent = this.view.layout === "page" ? "One row a lead" : "3 × 4 + 1";
  }

  async toggleBefore() {
    if (!byId("before-canvas").hidden) {
      this.hideBefore();
      return;
    }
    const { alert } = this;
    byId("before-canvas").hidden = false;
    byId("reader-before").setAttribute("aria-pressed", "true");
    const title = { ...alert, id: `before-${alert.id}`, title: "Previous strip", citations: [] };
    this.before.show(title, null, "Loading the previous strip of this bed …");
    try {
      const before = await getJson(`api/alerts/${alert.id}/previous`);
      const strip = await fetchStrip(before.id);
      if (this.alert?.id === alert.id) this.before.show({ ...before, title: `Previous: ${before.title}` }, strip);
    } catch (error) {
      if (this.alert?.id === alert.id) this.before.show(title, null, error.message);
    }
  }

  hideBefore() {
    byId("before-canvas").hidden = true;
    byId("reader-before").setAttribute("aria-pressed", "false");
  }

  async savePicture() {
    if (!this.view.shown?.strip) return;
    const blob = await this.view.picture();
    save(blob, `${fileName(this.alert)}.png`);
  }

  async saveJson() {
    const { id } = this.alert;
    const [alert, { versions, changes }] = await Promise.all([
      getJson(`api/alerts/${id}`),
      getJson(`api/alerts/${id}/versions`),
    ]);
    const text = JSON.stringify({ alert, versions, changes }, null, 1);
    save(new Blob([text], { type: "application/json" }), `${fileName(alert)}.json`);
  }
}

function mark(interpretation) {
  const found = verificationMark(interpretation);
  return found && element("p", { class: "verified", "data-ok": found.ok }, `${found.ok ? "✓" : "✗"} ${found.words}`);
}

function provenance(alert) {
  const { monitor, encoder, windows } = alert.provenance ?? {};
  const { model } = alert.interpretation ?? {};
  const rows = [
    ["Condition", `from ${dateTime(alert.onset)}${alert.end ? ` to ${dateTime(alert.end)}` : ""}`],
    ["Detected", dateTime(alert.detected)],
    ["Published", dateTime(alert.published)],
    ["Patient", alert.patient || "unknown"],
    ["Monitor", monitor ?? ""],
    ["Encoder", encoder ? `${encoder.name}, ${encoder.weights}, ${encoder.provider}` : ""],
    ["Model", model ? `${model.name}, ${model.weights}, ${model.precision}, ${model.device}` : ""],
    ["Windows", windows ? `${windows.first} to ${windows.last} of epoch ${windows.epoch}` : ""],
    ["Derived leads", (alert.derived_leads ?? []).join(", ")],
    ["Alert", `${alert.id}, version ${alert.version}`],
  ].filter(([, words]) => words);
  return element(
    "dl",
    { class: "provenance" },
    ...rows.flatMap(([name, words]) => [element("dt", {}, name), element("dd", {}, words)]),
  );
}

const fileName = (alert) =>
  `${alert.code}_${alert.bed_stream}_${alert.onset}`.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 100);

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
