// The newest version of each alert that the page knows, and the orders in which alerts are displayed.

import { rank } from "./priority.js";

const MAX_OFF_DISPLAYED = 12; // alerts that are off stay in the list while they are among the newest of these
const MAX_OFF_KEPT = 48; // older ones are forgotten; without it a page that stays open for weeks grows

const isOff = (alert) => alert.state === "off";
const isAcknowledged = (alert) => alert.state === "acknowledged";
const newestFirst = (a, b) => (a.onset < b.onset) - (a.onset > b.onset);

// Not acknowledged before acknowledged, then by priority, then the newest first.
const byUrgency = (a, b) =>
  isAcknowledged(a) - isAcknowledged(b) || rank(a.priority) - rank(b.priority) || newestFirst(a, b);

// As byUrgency, but superseded alerts after the one that supersedes them.
const byBannerOrder = (a, b) =>
  isAcknowledged(a) - isAcknowledged(b) ||
  rank(a.priority) - rank(b.priority) ||
  (a.superseded_by !== null) - (b.superseded_by !== null);

export class Alerts {
  constructor() {
    this.byId = new Map();
  }

  get(id) {
    return this.byId.get(id);
  }

  // False for a version that is known already, or older: it changes nothing.
  add(alert) {
    const known = this.byId.get(alert.id);
    if (known && known.version >= alert.version) return false;
    this.byId.set(alert.id, alert);
    for (const old of this.off.slice(MAX_OFF_KEPT)) this.byId.delete(old.id);
    return true;
  }

  clear() {
    this.byId.clear();
  }

  get open() {
    return [...this.byId.values()].filter((alert) => !isOff(alert)).sort(byUrgency);
  }

  get off() {
    return [...this.byId.values()].filter(isOff).sort(newestFirst);
  }

  // Open alerts by urgency, then the newest of those that are off.
  get displayed() {
    return [...this.open, ...this.off.slice(0, MAX_OFF_DISPLAYED)];
  }

  // Open alerts of a bed; the first one takes the bed's banner.
  openOfBed(bedStream) {
    return this.open.filter((alert) => alert.bed_stream === bedStream).sort(byBannerOrder);
  }
}
