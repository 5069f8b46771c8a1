// An action of the person at this screen, sent to the inbox. The answer is the alert's or the bed's next version.

import { byId } from "./element.js";
import { postJson } from "./http.js";
import { toast } from "./toast.js";

const AUDIO_PAUSE_S = 120;
const WHO = "who"; // id of the input, and the key under which the browser keeps its value for this tab

export const acknowledge = (alert) =>
  submit("acknowledge", alert, {}, `Acknowledged: ${alert.title}, ${alert.bed_stream}`);

export const pauseAudio = (alert) =>
  submit("silence", alert, { seconds: AUDIO_PAUSE_S },
    `Audio paused for ${AUDIO_PAUSE_S / 60} minutes: bed ${alert.bed_stream}. A new high-priority alarm still sounds.`);

async function submit(action, alert, args, confirmation) {
  const by = byId(WHO).value.trim();
  if (!by) {
    byId(WHO).focus();
    toast("Enter your ID first: it is recorded with each action.");
    return;
  }
  const id = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; // plain HTTP has no randomUUID
  try {
    await postJson("api/actions", { id, action, bed_stream: alert.bed_stream, alert_id: alert.id, by, args });
    toast(confirmation);
  } catch (error) {
    toast(`Not sent: ${error.message}`);
  }
}

export function keepWho() {
  byId(WHO).value = sessionStorage.getItem(WHO) ?? "";
  byId(WHO).addEventListener("input", () => sessionStorage.setItem(WHO, byId(WHO).value.trim()));
}
