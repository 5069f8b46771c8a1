// Search in the alarms of the last 30 days.

import { badge } from "./badge.js";
import { byId, element } from "./element.js";
import { getJson } from "./http.js";
import { dateTime, stateLabel } from "./labels.js";
import { finding } from "./measures.js";
import { PRIORITIES, PRIORITY_LABELS } from "./priority.js";

const PAGE = 50;

export class HistoryView {
  // select(alert): opens the reader; sites(): [{site, units}]; query(): "units=…" of this screen
  constructor({ select, sites, query }) {
    this.select = select;
    this.sites = sites;
    this.query = query;
    this.root = byId("history");
    this.cursor = "";
  }

  show() {
    if (!this.built) this.build();
    this.search();
  }

  build() {
    this.built = true;
    const field = (name, label, attributes = {}) => {
      const input = element("input", { name, autocomplete: "off", ...attributes });
      return element("label", {}, element("span", {}, label), input);
    };
    const options = (name, label, all) =>
      element(
        "label",
        {},
        element("span", {}, label),
        element("select", { name }, ...all.map(([value, words]) => element("option", { value }, words))),
      );
    const priorities = [["", "any priority"], ...PRIORITIES.map((priority) => [priority, PRIORITY_LABELS[priority]])];
    const sites = this.sites().map(({ site }) => [site, site]);
    this.form = element(
      "form",
      {
        class: "filters",
        role: "search",
        onsubmit: (event) => {
          event.preventDefault();
          this.search();
        },
      },
      field("q", "Words", { placeholder: "title, text, patient or person", maxlength: 100 }),
      field("bed", "Bed", { placeholder: "icu-3/07", maxlength: 64 }),
      options("priority", "Priority", priorities),
      field("from", "From", { type: "datetime-local" }),
      field("to", "To", { type: "datetime-local" }),
      sites.length > 1 ? options("site", "Site", sites) : null,
      element("button", { type: "submit", class: "ack" }, "Search"),
    );
    this.status = element("p", { class: "quiet", role: "status" });
    this.rows = element("tbody");
    this.more = element("button", { type: "button", hidden: true, onclick: () => this.load() }, "Earlier alarms");
    this.root.replaceChildren(
      element("h2", {}, "Alarms of the last 30 days"),
      this.form,
      this.status,
      element(
        "div",
        { class: "results", tabindex: "0", role: "region", "aria-label": "Alarms found" },
        element(
          "table",
          {},
          element(
            "thead",
            {},
            element(
              "tr",
              {},
              ...["Onset", "Bed", "Alarm", "Measured", "State"].map((name) => element("th", { scope: "col" }, name)),
            ),
          ),
          this.rows,
        ),
        this.more,
      ),
    );
  }

  search() {
    this.cursor = "";
    this.rows.replaceChildren();
    return this.load();
  }

  async load() {
    const asked = new URLSearchParams(this.query());
    for (const [name, value] of new FormData(this.form)) {
      if (value) asked.set(name, name === "from" || name === "to" ? new Date(value).toISOString() : value);
    }
    asked.set("limit", PAGE);
    if (this.cursor) asked.set("cursor", this.cursor);
    this.status.textContent = "Searching …";
    try {
      const { alerts, cursor } = await getJson(`api/history?${asked}`);
      this.cursor = cursor;
      this.rows.append(...alerts.map((alert) => this.row(alert)));
      const n = this.rows.children.length;
      this.status.textContent = `${n} ${n === 1 ? "alarm" : "alarms"}${cursor ? ", more before them" : ""}`;
      this.more.hidden = cursor === "";
    } catch (error) {
      this.status.textContent = `Not available: ${error.message}`;
    }
  }

  row(alert) {
    const found = finding(alert);
    return element(
      "tr",
      { "data-id": alert.id },
      element("td", {}, dateTime(alert.onset)),
      element("td", {}, alert.bed_stream),
      element(
        "td",
        {},
        element(
          "button",
          { type: "button", class: "link", onclick: () => this.select(alert) },
          badge(alert.priority),
          alert.title,
        ),
      ),
      element("td", {}, found ? [found.value, found.limit].filter(Boolean).join(" · ") : ""),
      element("td", {}, stateLabel(alert)),
    );
  }
}
