// The state of the ward on this page: beds, alerts and the alarms of this screen, as the feed brings them.

import { Alerts, bedKey } from "./alerts.js";
import { BedState } from "./bed_state.js";
import { ScreenAlarms } from "./screen_alarms.js";
import { byUrgency, isOff } from "./urgency.js";

export const SYSTEM = "_system"; // bed stream of the site's own technical alarms: in the list, without a tile

export class Ward {
  constructor() {
    this.alerts = new Alerts();
    this.beds = new Map(); // bed key → BedState
    this.screen = new ScreenAlarms();
    this.screenAlarms = [];
    this.sites = [];
  }

  // A snapshot is all there is: beds that it lacks are gone. Returns {gone: bed keys, missed: alerts that came and
  // went}.
  takeSnapshot(doc, fetched, since) {
    this.sites = doc.sites ?? [];
    const known = new Set(this.alerts.byId.keys());
    const missed = since
      ? doc.alerts.filter((alert) => isOff(alert) && alert.sounded && !known.has(alert.id) && alert.published > since)
      : [];
    this.alerts.replace(doc.alerts, fetched);
    this.screen.unreadable.clear();
    for (const fault of doc.unreadable ?? []) this.screen.addUnreadable(fault);
    const named = new Set(doc.beds.map(bedKey));
    const gone = [...this.beds.keys()].filter((key) => !named.has(key));
    for (const key of gone) this.beds.delete(key);
    for (const bed of doc.beds) this.takeBed(bed);
    for (const vitals of doc.vitals) {
      if (named.has(bedKey(vitals))) this.takeVitals(vitals, Date.parse(doc.at) - Date.parse(vitals.at));
    }
    return { gone, missed };
  }

  takeBed(doc) {
    if (doc.bed_stream === SYSTEM) return null;
    this.screen.readable("bed", doc.site, doc.bed_stream);
    const bed = this.bed(doc);
    bed.doc = doc;
    return bed;
  }

  takeVitals(vitals, ageMs = 0) {
    if (vitals.bed_stream === SYSTEM) return null;
    const bed = this.bed(vitals);
    bed.setVitals(vitals, ageMs);
    return bed;
  }

  bed(doc) {
    const key = bedKey(doc);
    if (!this.beds.has(key)) this.beds.set(key, new BedState(key, { site: doc.site, bed_stream: doc.bed_stream }));
    return this.beds.get(key);
  }

  updateScreenAlarms() {
    this.screenAlarms = this.screen.current([...this.beds.values()]);
    return this.screenAlarms;
  }

  alert(id) {
    return this.alerts.get(id) ?? this.screenAlarms.find((alarm) => alarm.id === id);
  }

  // Every alarm that is not off, by urgency.
  get open() {
    return [...this.alerts.open, ...this.screenAlarms].sort(byUrgency);
  }

  // As displayed in the list: many beds that are not monitored are one line.
  get displayed() {
    return [...grouped(this.open), ...this.alerts.displayed.filter(isOff)];
  }

  get openByBed() {
    return Map.groupBy(this.open, bedKey);
  }
}

const SINGLE_NOT_MONITORED = 3;

function grouped(open) {
  const beds = open.filter((alarm) => alarm.code === "NOT_MONITORED");
  if (beds.length <= SINGLE_NOT_MONITORED) return open;
  const acknowledged = beds.every((alarm) => alarm.acknowledged) ? beds[0].acknowledged : null;
  const oldest = beds.reduce((a, b) => (b.onset < a.onset ? b : a));
  const all = {
    ...oldest,
    id: "screen-beds",
    members: beds.map((alarm) => alarm.id),
    acknowledged,
    title: `NOT MONITORED: ${beds.length} beds`,
    state: acknowledged ? "acknowledged" : "on",
    sounding: !acknowledged,
    version: beds.length * 2 + Boolean(acknowledged),
    bed_stream: `${beds.length} beds`,
    words: `No verdict on the ECG of the last 10 s: ${beds.map((alarm) => alarm.bed_stream).join(", ")}.`,
  };
  return [...open.filter((alarm) => alarm.code !== "NOT_MONITORED"), all].sort(byUrgency);
}
