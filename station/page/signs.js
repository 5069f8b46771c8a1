// The full-width signs under the bar: a technical alarm of this screen, no sound, alarms that nobody has answered, and
// alarms that came and went while the screen was not connected.

import { byId } from "./element.js";
import { clockTime, sinceOnset } from "./labels.js";
import { isPressed, onLift } from "./press.js";
import { serverClock } from "./server_clock.js";
import { isOff } from "./urgency.js";

const UNANSWERED_MS = { PH: 60000, PM: 180000 }; // then an alarm that sounds escalates on this screen
const FULL_WIDTH = ["LINK_LOST", "STORE_LOST", "WORKERS_SILENT"];
const MAX_NAMED = 3;
const HELD_MS = 2500; // after the last movement of a pointer under the signs
const CHECK_MS = 500;

// Alerts that sound and that nobody has acknowledged for too long, the longest first.
export function unanswered(alerts) {
  const now = serverClock.now();
  return alerts
    .filter(
      (alert) =>
        alert.sounding &&
        !alert.acknowledged &&
        !isOff(alert) &&
        (alert.escalated ||
          now - Date.parse(alert.detected ?? alert.onset) > (UNANSWERED_MS[alert.priority] ?? Infinity)),
    )
    .sort((a, b) => (a.onset > b.onset) - (a.onset < b.onset));
}

export class Signs {
  constructor(sound) {
    this.sound = sound;
    onLift(() => this.drawSound());
    byId("silent-on").addEventListener("click", () => sound.on || sound.toggle());
    byId("missed-close").addEventListener("click", () => {
      byId("missed").hidden = true;
    });
  }

  drawTechnical(alarms) {
    const shown = alarms.filter((alarm) => FULL_WIDTH.includes(alarm.code));
    set("technical", shown.map((alarm) => alarm.words).join(" "));
  }

  drawSound() {
    if (isPressed()) return; // drawn again after the click
    const { sound } = this;
    byId("silent").hidden = sound.on;
    const words = sound.wanted
      ? "This screen is silent: the browser plays sound only after a click or a key on this page."
      : "This screen is silent: somebody switched its sound off.";
    if (byId("silent-words").textContent !== words) byId("silent-words").textContent = words;
    byId("sound").setAttribute("aria-pressed", String(sound.on));
    byId("sound").textContent = sound.on ? "Audio on" : "Audio off";
    byId("sound").hidden = false;
  }

  drawUnanswered(alerts) {
    const named = alerts
      .slice(0, MAX_NAMED)
      .map((alert) => `${alert.title}, ${alert.bed_stream || "this screen"}: ${sinceOnset(alert)}`);
    const more = alerts.length > MAX_NAMED ? ` and ${alerts.length - MAX_NAMED} more` : "";
    set("unanswered", named.length ? `Nobody has answered: ${named.join(" · ")}${more}` : "");
  }

  // alerts: came and went since this time
  drawMissed(alerts, since) {
    if (!alerts.length) return;
    const named = alerts
      .slice(0, MAX_NAMED)
      .map((alert) => `${alert.title} ${alert.bed_stream} ${clockTime(alert.onset)}`);
    const more = alerts.length > MAX_NAMED ? ` and ${alerts.length - MAX_NAMED} more` : "";
    const n = `${alerts.length} ${alerts.length === 1 ? "alarm" : "alarms"}`;
    const words = `${n} came and went while this screen was not connected, since ${clockTime(since)}`;
    byId("missed-words").textContent = `${words}: ${named.join(" · ")}${more}.`;
    byId("missed").hidden = false;
  }
}

// The height that the page gives to the signs. While a pointer moves under them, a new sign lies over the page and one
// that went leaves its place empty: nothing moves under the pointer.
export class SignRoom {
  constructor(signs, page) {
    this.signs = signs;
    this.lines = signs.querySelector(".lines");
    this.pointerAt = -Infinity;
    for (const kind of ["pointermove", "pointerdown", "wheel", "touchmove"]) {
      page.addEventListener(kind, () => { this.pointerAt = performance.now(); }, { passive: true });
    }
    page.addEventListener("pointerleave", () => { this.pointerAt = -Infinity; });
    new ResizeObserver(() => this.fit()).observe(this.lines);
    setInterval(() => this.fit(), CHECK_MS);
  }

  fit() {
    if (isPressed() || performance.now() - this.pointerAt < HELD_MS) return;
    const height = `${this.lines.offsetHeight}px`;
    if (this.signs.style.height !== height) this.signs.style.height = height;
  }
}

function set(id, words) {
  if (isPressed()) return; // drawn again after the click
  if (byId(id).textContent !== words) byId(id).textContent = words;
  byId(id).hidden = words === "";
}
