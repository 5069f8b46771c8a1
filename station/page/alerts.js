// The newest version of each alert that the page knows, and the orders in which alerts are displayed.

import { byUrgency, isOff } from "./urgency.js";

const MAX_OFF_DISPLAYED = 12; // alerts that are off stay in the list while they are among the newest of these
const MAX_OFF_KEPT = 120; // older ones are forgotten; without it a page that stays open for weeks grows

export const bedKey = (doc) => `${doc.site}|${doc.bed_stream}`;

const newestFirst = (a, b) => (a.onset < b.onset) - (a.onset > b.onset);

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

  // Alerts as a snapshot has them. An open one that is not in it is gone, unless the snapshot is older than the events.
  replace(docs, keepOpen) {
    const ids = new Set(docs.map((doc) => doc.id));
    for (const alert of this.open) if (!keepOpen && !ids.has(alert.id)) this.byId.delete(alert.id);
    for (const doc of docs) this.add(doc);
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
  openOfBed(key) {
    return this.open.filter((alert) => bedKey(alert) === key);
  }
}
