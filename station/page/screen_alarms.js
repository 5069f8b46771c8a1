// Technical alarms of this screen itself: a lost server or store, workers that are silent, beds that are not monitored,
// documents that cannot be read. They have the form of alerts, so that they are displayed and sound like those.

import { NOT_MONITORED } from "./bed_state.js";
import { durationWords } from "./labels.js";
import { serverClock } from "./server_clock.js";

const WORKERS_SILENT_MS = 4000; // vitals of every monitored bed come each second
const ADVICE = "Alarms do not reach this screen. Watch the bedside monitors.";
const UNREADABLE_KEPT = 50;

export class ScreenAlarms {
  constructor() {
    this.unreadable = new Map(); // name → fault
    this.onsets = new Map(); // id → RFC 3339 time
    this.acknowledged = new Map(); // id → {at, by}, at this screen
    this.link = { silentMs: 0, redisLost: null };
  }

  addUnreadable(fault) {
    const name = `${fault.kind}-${fault.site}-${fault.name}`;
    if (!this.unreadable.has(name) && this.unreadable.size >= UNREADABLE_KEPT) return;
    this.unreadable.set(name, fault);
  }

  // A document that can be read again ends its fault.
  readable(kind, site, name) {
    this.unreadable.delete(`${kind}-${site}-${name}`);
  }

  acknowledge(id, by) {
    this.acknowledged.set(id, { at: new Date(serverClock.now()).toISOString(), by });
  }

  get connected() {
    return this.link.silentMs === 0 && !this.link.redisLost;
  }

  // All alarms of this screen now; beds: BedState of each bed. An onset is kept while the alarm lasts.
  current(beds) {
    const found = [...this.ofLink(beds), ...this.ofBeds(beds), ...this.ofDocuments()];
    const ids = new Set(found.map((alarm) => alarm.id));
    for (const kept of [this.onsets, this.acknowledged]) {
      for (const id of kept.keys()) if (!ids.has(id)) kept.delete(id);
    }
    return found;
  }

  ofLink(beds) {
    const { silentMs, redisLost } = this.link;
    if (silentMs) {
      const words = `No connection to the station server for ${durationWords(silentMs)}. ${ADVICE}`;
      return [this.alarm("link", "LINK_LOST", "No connection", words, silentMs)];
    }
    if (redisLost) {
      const words = `The station server has lost the alert store (${redisLost}). ${ADVICE}`;
      return [this.alarm("store", "STORE_LOST", "Alert store lost", words)];
    }
    const monitored = beds.filter((bed) => bed.status === "monitored" && bed.doc.since);
    const newestMs = Math.min(...monitored.map((bed) => performance.now() - bed.receivedAt));
    if (!monitored.length || newestMs <= WORKERS_SILENT_MS) return [];
    const since = Number.isFinite(newestMs) ? ` for ${durationWords(newestMs)}` : "";
    const words = `No values of any bed${since}: the monitoring programs may have stopped. Watch the bedside monitors.`;
    return [this.alarm("workers", "WORKERS_SILENT", "No values of any bed", words, newestMs)];
  }

  ofBeds(beds) {
    if (!this.connected) return []; // the lost connection is the one cause of all
    return beds
      .filter((bed) => bed.state === NOT_MONITORED)
      .map((bed) => {
        const alarm = this.alarm(
          `bed-${bed.key}`,
          "NOT_MONITORED",
          NOT_MONITORED,
          "No verdict on the ECG of the last 10 s.",
          bed.unjudgedMs,
        );
        return { ...alarm, site: bed.doc.site, bed_stream: bed.doc.bed_stream, unit: bed.doc.unit ?? "" };
      });
  }

  ofDocuments() {
    return [...this.unreadable].map(([name, { kind, site, bed_stream: bedStream, reason }]) => {
      const title = kind === "alert" ? "An alert cannot be read" : `The ${kind} document cannot be read`;
      return { ...this.alarm(`document-${name}`, "UNREADABLE", title, reason), site, bed_stream: bedStream };
    });
  }

  alarm(name, code, title, words, lastedMs = 0) {
    const id = `screen-${name}`;
    const lasted = Number.isFinite(lastedMs) ? lastedMs : 0;
    if (!this.onsets.has(id)) this.onsets.set(id, new Date(serverClock.now() - lasted).toISOString());
    const acknowledged = this.acknowledged.get(id) ?? null;
    return {
      id,
      code,
      title,
      words,
      acknowledged,
      screen: true,
      version: acknowledged ? 2 : 1,
      kind: "technical",
      priority: "PM",
      state: acknowledged ? "acknowledged" : "on",
      sounding: !acknowledged,
      sounded: true,
      superseded_by: null,
      late: false,
      end: null,
      onset: this.onsets.get(id),
      site: "",
      bed_stream: "",
      unit: "",
      patient: "",
      citations: [],
      interpretation: null,
      segment: null,
      reminders: 0,
      escalated: null,
    };
  }
}
