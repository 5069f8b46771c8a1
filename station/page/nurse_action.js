// An action of the person at this screen, sent to the inbox. What holds is the alert's or the bed's next version.

import { bedKey } from "./alerts.js";
import { byId } from "./element.js";
import { postJson } from "./http.js";
import { clockTime } from "./labels.js";
import { toast } from "./toast.js";

export const AUDIO_PAUSE_S = 120;
const WHO = "who"; // id of the input, and the key under which the browser keeps its value for this tab

// Who acts: the person who logged in, or the typed ID; "" asks for it.
export function person() {
  const by = byId(WHO).value.trim();
  if (!by) {
    byId(WHO).focus();
    toast("Enter your ID first: it is recorded with each action.", "warning");
  }
  return by;
}

export class NurseActions {
  constructor(pending) {
    this.pending = pending;
  }

  acknowledge(alert) {
    const label = `${alert.title}, ${alert.bed_stream}`;
    return this.submit("acknowledge", alert, {}, label, alert.id);
  }

  pauseAudio(bed, seconds = AUDIO_PAUSE_S) {
    const label = seconds
      ? `audio of bed ${bed.bed_stream} paused for ${seconds / 60} minutes; a new high-priority alarm still sounds`
      : `audio pause of bed ${bed.bed_stream} ended`;
    return this.submit("silence", bed, { seconds }, label);
  }

  // True when the action was sent. target: an alert or a bed document
  async submit(name, target, args, label, alertId = null) {
    const by = person();
    if (!by) return false;
    const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; // plain HTTP has no randomUUID
    const sent = { name, alertId, bedKey: bedKey(target), label, by, at: null };
    this.pending.add(id, sent);
    try {
      const body = { id, action: name, site: target.site, bed_stream: target.bed_stream, alert_id: alertId, by, args };
      const answer = await postJson("api/actions", body);
      const held = this.pending.byAction.get(id);
      if (held) Object.assign(held, { at: answer.at, by: answer.by });
      if (held) toast(`Sent: ${label}`);
      return true;
    } catch (error) {
      this.pending.remove(id);
      const first = error.answer?.acknowledged;
      toast(
        first ? `${first.by} was first, at ${clockTime(first.at)}: ${label}` : `Not sent: ${error.message}`,
        "warning",
      );
      return false;
    }
  }
}

export function keepWho(user) {
  const input = byId(WHO);
  if (user) {
    input.value = user;
    input.readOnly = true; // of the login
    return;
  }
  input.value = sessionStorage.getItem(WHO) ?? "";
  input.addEventListener("input", () => sessionStorage.setItem(WHO, input.value.trim()));
}
