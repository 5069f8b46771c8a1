// The order in which people are needed: present before over, lethal before all, and an acknowledged lethal condition
// stays on top while it is present.

import { rank } from "./priority.js";

export const isOff = (alert) => alert.state === "off";
export const isAcknowledged = (alert) => Boolean(alert.acknowledged);
export const isOver = (alert) => isOff(alert) || alert.state === "latched" || Boolean(alert.end) || alert.late;
export const isPresent = (alert) => !isOver(alert);
export const isLethal = (alert) => alert.priority === "PH";

// Index in this list: 0 needs someone first.
const ORDER = [
  (alert) => isLethal(alert) && isPresent(alert) && !isAcknowledged(alert),
  (alert) => isLethal(alert) && isPresent(alert),
  (alert) => isLethal(alert) && !isAcknowledged(alert),
  (alert) => alert.priority === "PM" && isPresent(alert) && !isAcknowledged(alert),
  (alert) => alert.priority === "PM" && isPresent(alert),
  (alert) => alert.priority === "PL" && isPresent(alert) && !isAcknowledged(alert),
  (alert) => alert.priority === "PM",
  (alert) => alert.priority === "PL" && isPresent(alert),
  (alert) => alert.priority === "PL",
];

export function urgency(alert) {
  if (isOff(alert)) return ORDER.length + 1;
  const found = ORDER.findIndex((fits) => fits(alert));
  return found === -1 ? ORDER.length : found;
}

const isSuperseded = (alert) => Boolean(alert.superseded_by);

// By urgency; a superseded alert after the one that sounds for it; then the newest first.
export const byUrgency = (a, b) =>
  urgency(a) - urgency(b) ||
  isSuperseded(a) - isSuperseded(b) ||
  rank(a.priority) - rank(b.priority) ||
  (a.onset < b.onset) - (a.onset > b.onset) ||
  (a.id > b.id) - (a.id < b.id);

// The class of a bed by its alerts. A tile moves only when its class changes.
export const LETHAL_PRESENT = 0;
export const LETHAL_OVER = 1;
export const MEDIUM_PRESENT = 2;
export const REST = 3;

export function bedClass(alerts) {
  const first = Math.min(Infinity, ...alerts.map(urgency));
  if (first <= 1) return LETHAL_PRESENT;
  if (first === 2) return LETHAL_OVER;
  return first <= 4 ? MEDIUM_PRESENT : REST;
}
