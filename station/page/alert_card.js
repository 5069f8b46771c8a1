// The card of one alert in the list: what it is and where, its value against its limit, its state, and the actions.

import { badge } from "./badge.js";
import { element } from "./element.js";
import { sinceOnset, stateLabel, stateWord } from "./labels.js";
import { finding } from "./measures.js";
import { PRIORITY_LABELS } from "./priority.js";
import { isOff, isOver } from "./urgency.js";

const SYSTEM = "_system"; // bed stream of the site's own technical alarms, which nobody acknowledges
const MAX_TEXT = 220; // characters of the interpretation on a card; the reader has all of it

// context: {selected, pending: words about an action that is under way or ""}
export function alertCard(alert, context, handlers) {
  const attributes = {
    class: "alert",
    "data-id": alert.id,
    "data-item": alert.id,
    "data-code": alert.code,
    "data-state": alert.state,
    "data-over": isOver(alert),
    "aria-current": context.selected ? "true" : null,
  };
  return element("li", attributes, head(alert, context, handlers),
    element("div", { class: "body" }, findingLine(alert), firstWords(alert), actions(alert, context, handlers)));
}

function head(alert, context, handlers) {
  const attributes = {
    type: "button",
    class: "head alarm",
    "data-key": `head-${alert.id}`,
    "data-priority": isOff(alert) ? "PN" : alert.priority,
    "data-flash": !isOff(alert) && !alert.acknowledged && !alert.superseded_by,
    "data-over": isOver(alert),
    "aria-expanded": context.selected,
    onclick: () => handlers.select(alert),
  };
  return element("button", attributes,
    badge(alert.priority),
    element("span", { class: "what" },
      element("strong", {}, alert.title),
      element("span", {}, stateLabel(alert))),
    element("span", { class: "where" },
      element("strong", {}, alert.bed_stream || "this screen"),
      element("span", {}, `${PRIORITY_LABELS[alert.priority]} · ${stateWord(alert)} `,
        element("span", { class: "since" }, sinceOnset(alert)))));
}

function findingLine(alert) {
  if (alert.words) return element("p", { class: "finding" }, alert.words);
  const found = finding(alert);
  if (!found) return null;
  return element("p", { class: "finding" }, element("strong", {}, found.value),
    found.limit ? element("span", { class: "limit" }, found.limit) : null);
}

function firstWords(alert) {
  if (alert.unreadable) {
    return element("p", { class: "fault" }, `Parts of this alert cannot be read: ${alert.unreadable.reason}`);
  }
  const text = alert.interpretation?.text;
  if (text) return element("p", { class: "text" }, text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)} …` : text);
  return null;
}

function actions(alert, context, handlers) {
  if (isOff(alert) || alert.bed_stream === SYSTEM) return null;
  const buttons = [
    alert.acknowledged ? null : action("ack", "Acknowledge", alert, handlers.acknowledge, context.pending),
    alert.sounding && !alert.screen ? action("silence", "Pause audio 2 min", alert, handlers.silence, "") : null,
  ].filter(Boolean);
  const notes = [
    context.pending ? element("span", { class: "pending", role: "status" }, context.pending) : null,
    alert.reminders ? element("span", { class: "state" }, `reminders: ${alert.reminders}`) : null,
    alert.escalated ? element("span", { class: "state" }, "escalated") : null,
  ].filter(Boolean);
  return buttons.length + notes.length ? element("div", { class: "actions" }, ...buttons, ...notes) : null;
}

function action(name, label, alert, handler, pending) {
  const attributes = {
    type: "button", class: name, "data-key": `${name}-${alert.id}`, disabled: Boolean(pending),
    "aria-label": `${label}: ${alert.title}, ${alert.bed_stream || "this screen"}`, onclick: () => handler(alert),
  };
  return element("button", attributes, label);
}
