// One bed: live trace, trends of a day with its alarms, limits, changes with who and when, and the actions on a bed.

import { badge } from "./badge.js";
import { confirmed } from "./confirm.js";
import { byId, element } from "./element.js";
import { getJson } from "./http.js";
import { clockTime, countdown, stateLabel } from "./labels.js";
import { limitsForm } from "./limits_form.js";
import { may } from "./login.js";
import { finding } from "./measures.js";
import { serverClock } from "./server_clock.js";
import { Trace } from "./trace.js";
import { TrendChart } from "./trend_chart.js";

const FRESH_MS = 30000; // trends have a point in 30 s
const HOURS = [24, 8, 1];
const MAX_ALARMS = 200;

export class BedView {
  // handlers: {select(alert), close(), actions: NurseActions, colours() of traces}
  constructor(handlers) {
    this.handlers = handlers;
    this.root = byId("bed-view");
    this.bed = null;
    this.hours = HOURS[0];
    setInterval(() => this.tick(), 250);
    const frame = () => {
      if (this.bed && !this.root.hidden) this.trace.draw(handlers.colours().trace, handlers.colours().clip);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  async show(bed) {
    this.bed = bed;
    this.build();
    this.update();
    try {
      this.table ??= await getJson("api/limits");
    } catch {
      this.table = undefined; // said by the list of limits, which stays empty
    }
    this.update();
    this.refresh();
  }

  hide() {
    this.bed = null;
    this.root.replaceChildren();
  }

  build() {
    this.note = element("p", { class: "quiet", role: "status" });
    this.hr = element("span", { class: "hr" });
    this.buttons = element("div", { class: "row" });
    const live = element("canvas", { class: "live", "aria-hidden": "true" });
    this.scale = element("span", { class: "scale" });
    this.trace = new Trace(live, (mv) => {
      this.scale.textContent = `±${mv} mV`;
    });
    const chart = element("canvas", {
      class: "chart",
      role: "img",
      "aria-label": "Trends of heart rate, PVC rate and ST, with alarms",
    });
    this.alarms = element("ol", { class: "bed-alarms" });
    this.limits = element("div");
    this.changes = element("ol", { class: "changes" });
    const hours = element(
      "div",
      { class: "row", role: "group", "aria-label": "Hours" },
      ...HOURS.map((n) =>
        element("button", { type: "button", "data-hours": n, onclick: () => this.setHours(n) }, `${n} h`),
      ),
    );
    const close = element(
      "button",
      { type: "button", onclick: () => this.handlers.close(), "aria-label": "Back to the beds" },
      "✕",
    );
    this.root.replaceChildren(
      element("header", {}, element("h2", {}, this.bed.name), this.hr, this.note, this.buttons, close),
      element(
        "div",
        { class: "columns" },
        element(
          "div",
          { class: "column" },
          element("div", { class: "wave" }, live, this.scale),
          element("div", { class: "heading" }, element("h3", {}, "Trends and alarms"), hours),
          chart,
        ),
        element(
          "div",
          { class: "column scroll", tabindex: "0", role: "region", "aria-label": "Alarms, limits and changes" },
          element("h3", {}, "Alarms of the last 24 hours"),
          this.alarms,
          element("h3", {}, "Limits"),
          this.limits,
          element("h3", {}, "Changes"),
          this.changes,
        ),
      ),
    );
    this.chart = new TrendChart(chart);
    this.drawnDoc = null;
  }

  setHours(n) {
    this.hours = n;
    this.refresh();
  }

  update() {
    if (!this.bed || this.root.hidden) return;
    this.tick();
    const { doc } = this.bed;
    if (this.drawnDoc === doc && this.drawnTable === this.table) return;
    [this.drawnDoc, this.drawnTable] = [doc, this.table];
    this.buttons.replaceChildren(...this.actionButtons());
    const sent = (args) =>
      Object.keys(args).length && this.handlers.actions.submit("limits", doc, args, `limits of ${this.bed.name}`);
    this.limits.replaceChildren(
      this.table
        ? limitsForm(this.table, doc.limits ?? {}, may("admin", doc.unit) ? sent : null)
        : element("p", { class: "quiet" }, "Limits cannot be set at this station."),
    );
    this.changes.replaceChildren(
      ...[...(doc.changes ?? [])]
        .reverse()
        .map(({ what, at, by }) =>
          element(
            "li",
            {},
            element("strong", {}, what),
            element("span", { class: "quiet" }, ` ${clockTime(at)}${by ? ` by ${by}` : ""}`),
          ),
        ),
    );
  }

  updateVitals(vitals) {
    if (vitals.wave) this.trace.push(vitals.wave);
  }

  tick() {
    if (!this.bed || this.root.hidden) return;
    const { state, vitals, doc, pauseMs } = this.bed;
    const hr = state || vitals?.hr === null || vitals?.hr === undefined ? "–" : String(Math.round(vitals.hr));
    if (this.hr.textContent !== hr) this.hr.textContent = hr;
    const rhythm = state || vitals?.rhythm || "";
    const parts = [doc.patient, rhythm, pauseMs ? `audio paused ${countdown(pauseMs)}` : ""];
    const words = parts.filter(Boolean).join(" · ");
    if (this.note.textContent !== words) this.note.textContent = words;
    if (performance.now() - (this.refreshedAt ?? -Infinity) > FRESH_MS) this.refresh();
  }

  actionButtons() {
    const { doc, status, pauseMs } = this.bed;
    const { actions } = this.handlers;
    const send = (name, label) => () => actions.submit(name, doc, {}, `${label} of ${this.bed.name}`);
    const button = (label, onclick) => element("button", { type: "button", onclick }, label);
    const asked = (name, title, words) => async () => {
      if ((await confirmed({ title, words, yes: title })) !== null) {
        actions.submit(name, doc, {}, `${title}: ${this.bed.name}`);
      }
    };
    const admit = async () => {
      const patient = await confirmed({
        title: `Admit to ${this.bed.name}`,
        words: "Monitoring of a new patient starts; open alarms end.",
        yes: "Admit",
        field: "Pseudonym",
      });
      if (patient) actions.submit("admit", doc, { patient }, `admission to ${this.bed.name}`);
    };
    const monitored = status === "monitored";
    return [
      pauseMs > 0
        ? button("End the audio pause", () => actions.pauseAudio(doc, 0))
        : button("Pause audio 2 min", () => actions.pauseAudio(doc)),
      monitored
        ? button(
            "Standby",
            asked("standby", "Standby", "Monitoring is suspended: this bed raises no alarm until it is resumed."),
          )
        : null,
      status === "standby" ? button("Resume", send("resume", "end of standby")) : null,
      button("Admit", admit),
      status === "discharged"
        ? null
        : button(
            "Discharge",
            asked("discharge", "Discharge", "Monitoring ends: this bed raises no alarm until a patient is admitted."),
          ),
      monitored ? button("New baseline", send("baseline", "new baseline")) : null,
    ].filter(Boolean);
  }

  async refresh() {
    const { bed } = this;
    if (!bed) return;
    this.refreshedAt = performance.now();
    for (const button of this.root.querySelectorAll("[data-hours]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === this.hours));
    }
    const nowMs = serverClock.now();
    const query = new URLSearchParams({ site: bed.doc.site ?? "", bed: bed.doc.bed_stream });
    const since = new Date(nowMs - HOURS[0] * 3600000).toISOString();
    try {
      const [trend, { alerts }] = await Promise.all([
        getJson(`api/trends?${query}&hours=${HOURS[0]}`),
        getJson(`api/history?${query}&from=${since}&limit=${MAX_ALARMS}`),
      ]);
      if (this.bed !== bed) return;
      this.chart.show(trend, alerts, nowMs, this.hours);
      this.drawAlarms(alerts);
    } catch (error) {
      if (this.bed === bed) {
        this.alarms.replaceChildren(element("li", { class: "quiet" }, `Not available: ${error.message}`));
      }
    }
  }

  drawAlarms(alerts) {
    const empty = element("li", { class: "quiet" }, "None.");
    this.alarms.replaceChildren(
      ...alerts.map((alert) => {
        const found = finding(alert);
        return element(
          "li",
          {},
          element(
            "button",
            { type: "button", onclick: () => this.handlers.select(alert) },
            badge(alert.priority),
            element("strong", {}, alert.title),
            element(
              "span",
              { class: "quiet" },
              `${clockTime(alert.onset)} · ${found ? `${found.value} · ` : ""}${stateLabel(alert)}`,
            ),
          ),
        );
      }),
      ...(alerts.length ? [] : [empty]),
    );
  }
}
