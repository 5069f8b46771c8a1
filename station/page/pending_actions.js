// Actions that were sent and do not hold yet. "Sent" turns into "holds" when the monitor's next version says so, into
// who was first, or, after five seconds, into a warning.

import { clockTime } from "./labels.js";

const ANSWER_MS = 5000; // the monitor answers within two seconds
const KEPT_MS = 30000; // then the words are removed; the alert itself says what holds

export class PendingActions {
  // onChange(): words have changed; tell(message): a message for the person
  constructor(onChange, tell) {
    this.onChange = onChange;
    this.tell = tell;
    this.byAction = new Map(); // action id → {name, alertId, bedKey, label, by, at, sentAt, warned}
    setInterval(() => this.check(), 500);
  }

  add(id, action) {
    this.byAction.set(id, { ...action, sentAt: performance.now(), warned: false });
    this.onChange();
  }

  remove(id) {
    this.byAction.delete(id);
    this.onChange();
  }

  words(alert) {
    for (const action of this.byAction.values()) {
      if (action.alertId !== alert.id || action.name !== "acknowledge") continue;
      return action.warned ? "Not confirmed by the monitor yet" : `Sent by ${action.by}, waiting for the monitor`;
    }
    return "";
  }

  // A new version of an alert: an acknowledgement holds, or another one was first.
  alertChanged(alert) {
    for (const [id, action] of this.byAction) {
      if (action.alertId !== alert.id || action.name !== "acknowledge" || !alert.acknowledged) continue;
      const { by, at } = alert.acknowledged;
      const own = by === action.by && (!action.at || Math.abs(Date.parse(at) - Date.parse(action.at)) < 1);
      this.tell(
        own
          ? `Acknowledgement holds: ${action.label}`
          : `${by} was first, at ${clockTime(at)}: ${action.label}. Yours was not needed.`,
      );
      this.remove(id);
    }
  }

  // A new version of a bed: its audit lines say what became of the actions on it.
  bedChanged(key, bed) {
    for (const [id, action] of this.byAction) {
      if (action.bedKey !== key || !(bed.applied_ids ?? []).includes(id)) continue;
      const line = [...bed.changes].reverse().find((change) => change.by === action.by);
      const rejected = Boolean(line?.what.includes("rejected"));
      if (action.name === "acknowledge" && !rejected) continue; // the alert's version says it
      this.tell(rejected ? `Not done: ${line.what}` : `Done: ${action.label}`);
      this.remove(id);
    }
  }

  check() {
    for (const [id, action] of this.byAction) {
      const ageMs = performance.now() - action.sentAt;
      if (ageMs > KEPT_MS) {
        this.remove(id);
      } else if (ageMs > ANSWER_MS && !action.warned) {
        action.warned = true;
        this.tell(`Not confirmed: the monitor has not answered for ${ANSWER_MS / 1000} s. ${action.label}`);
        this.onChange();
      }
    }
  }
}
