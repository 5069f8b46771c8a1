// The card of one alert: title and state, interpretation, citations, and the actions of a nurse.

import { citationButton } from "./citation_button.js";
import { element } from "./element.js";
import { interpretationText } from "./interpretation_text.js";
import { citationLabel, clockTime, interpretationLabel, stateLabel } from "./labels.js";
import { PRIORITY_LABELS } from "./priority.js";

const MAX_CITATIONS_UNSELECTED = 2;
const SYSTEM = "_system"; // bed stream of the site's own technical alarms, which nobody acknowledges

export function alertCard(alert, selection, handlers) {
  const selected = selection.hasAlert(alert);
  const attributes = {
    class: "alert",
    "data-id": alert.id,
    "data-code": alert.code,
    "data-state": alert.state,
    "aria-current": selected ? "true" : null,
  };
  const body = element("div", { class: "body" },
    interpretation(alert, selection, handlers),
    citations(alert, selection, handlers),
    actions(alert, handlers));
  return element("li", attributes, head(alert, selected, handlers), body);
}

function head(alert, selected, handlers) {
  const off = alert.state === "off";
  const attributes = {
    type: "button",
    class: "head alarm",
    "data-key": `head-${alert.id}`,
    "data-priority": off ? "PN" : alert.priority,
    "data-flash": !off && alert.state !== "acknowledged" && !alert.superseded_by,
    "aria-expanded": selected,
    onclick: () => handlers.select(alert),
  };
  return element("button", attributes,
    element("strong", {}, alert.title),
    element("strong", { class: "right" }, alert.bed_stream),
    element("span", {}, stateLabel(alert)),
    element("span", { class: "right" }, `${PRIORITY_LABELS[alert.priority]} · ${clockTime(alert.onset)}`));
}

function interpretation(alert, selection, handlers) {
  if (alert.interpretation) {
    return element("div", {},
      element("p", { class: "text" }, ...interpretationText(alert, selection, handlers)),
      element("p", { class: "source" }, interpretationLabel(alert.interpretation)));
  }
  return alert.kind === "technical" ? null : element("p", { class: "source" }, "Interpretation pending.");
}

function citations(alert, selection, handlers) {
  if (!alert.citations.length) return null;
  const n = selection.hasAlert(alert) ? alert.citations.length : MAX_CITATIONS_UNSELECTED;
  const hidden = alert.citations.length - n;
  return element("div", { class: "citations", "aria-label": "Cited intervals" },
    ...alert.citations.slice(0, n).map((citation) =>
      citationButton(alert, citation, selection, handlers, { text: citationLabel(citation), place: "list" })),
    hidden > 0 ? element("span", { class: "source" }, `and ${hidden} more`) : null);
}

function actions(alert, handlers) {
  if (alert.state === "off" || alert.bed_stream === SYSTEM) return null;
  return element("div", { class: "actions" },
    alert.state === "acknowledged" ? null : action("ack", "Acknowledge", alert, handlers.acknowledge),
    alert.sounding ? action("silence", "Pause audio 2 min", alert, handlers.silence) : null,
    alert.reminders ? element("span", { class: "state" }, `reminders: ${alert.reminders}`) : null);
}

function action(name, label, alert, handler) {
  const attributes = { type: "button", class: name, "data-key": `${name}-${alert.id}`, onclick: () => handler(alert) };
  return element("button", attributes, label);
}
