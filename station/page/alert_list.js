// The list of alerts: one card each, by urgency. A card is built anew only when its alert has changed. While a
// pointer or a finger is in the list no card moves: new alerts wait, and a button says how many.

import { alertCard } from "./alert_card.js";
import { byId, element } from "./element.js";
import { sinceOnset } from "./labels.js";
import { isPressed, onLift } from "./press.js";
import { Roving } from "./roving.js";
import { isOff } from "./urgency.js";

const HELD_MS = 2500; // after the last movement of the pointer in the list
const CHECK_MS = 500;

export class AlertList {
  // handlers: {select(alert), acknowledge(alert), silence(alert), pending(alert) → words}
  constructor(root, selection, handlers) {
    this.root = root;
    this.selection = selection;
    this.handlers = handlers;
    this.cards = new Map(); // alert id → {key, card, alert}
    this.order = []; // ids as they are displayed
    this.alerts = [];
    this.pointerAt = -Infinity;
    this.roving = new Roving(root, ".alert");
    this.hold();
    byId("new-alerts").addEventListener("click", () => this.release());
    setInterval(() => this.tick(), CHECK_MS);
  }

  hold() {
    const moved = () => {
      this.pointerAt = performance.now();
    };
    for (const kind of ["pointermove", "pointerdown", "wheel", "touchmove"]) {
      this.root.addEventListener(kind, moved, { passive: true });
    }
    onLift(() => this.waiting && this.arrange());
    this.root.addEventListener("pointerleave", () => this.release());
  }

  get held() {
    return isPressed() || performance.now() - this.pointerAt < HELD_MS;
  }

  release() {
    this.pointerAt = -Infinity;
    this.arrange();
  }

  tick() {
    if (this.waiting && !this.held) this.arrange();
    for (const { card, alert } of this.cards.values()) {
      if (!isOff(alert)) setText(card.querySelector(".head .since"), sinceOnset(alert));
    }
  }

  draw(alerts) {
    this.alerts = alerts;
    if (isPressed()) this.waiting = true;
    else this.arrange();
  }

  arrange() {
    const byAlertId = new Map(this.alerts.map((alert) => [alert.id, alert]));
    const wanted = this.alerts.map((alert) => alert.id);
    const held = this.held && this.order.length > 0;
    const kept = held ? this.order : wanted;
    const gone = this.order.filter((id) => !byAlertId.has(id));
    const nNew = wanted.filter((id) => !kept.includes(id)).length;
    this.waiting = held && (kept.length !== wanted.length || kept.some((id, k) => id !== wanted[k]));
    byId("new-alerts").hidden = nNew === 0;
    byId("new-alerts").textContent = `${nNew} new ${nNew === 1 ? "alarm" : "alarms"} ↑`;
    const focused = document.activeElement?.dataset?.key;
    for (const id of gone) held ? this.close(id) : this.remove(id);
    const cards = kept.map((id) => (byAlertId.has(id) ? this.card(byAlertId.get(id)) : this.cards.get(id).card));
    cards.forEach((card, k) => {
      const displaced = this.root.children[k] ?? null;
      if (displaced !== card) this.root.insertBefore(card, displaced);
    });
    while (this.root.children.length > cards.length) this.root.lastChild.remove();
    this.order = kept;
    if (focused && document.activeElement?.dataset?.key !== focused) {
      this.root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
    this.roving.update();
  }

  // An alert that went while the list is held: its card keeps the place, and its buttons do nothing.
  close(id) {
    const known = this.cards.get(id);
    known.key = null; // should it come back, it is built anew
    known.card.classList.add("gone");
    Object.assign(known.card.querySelector(".head").dataset, { priority: "PN", flash: "false" });
    for (const button of known.card.querySelectorAll("button")) button.disabled = true;
  }

  remove(id) {
    this.cards.get(id)?.card.remove();
    this.cards.delete(id);
  }

  card(alert) {
    const selected = this.selection.hasAlert(alert);
    const pending = this.handlers.pending(alert);
    const key = `${alert.version}/${alert.words ?? ""}/${selected}/${pending}`;
    const known = this.cards.get(alert.id);
    if (known?.key === key) return known.card;
    const card = this.built(alert, { selected, pending });
    known?.card.replaceWith(card);
    this.cards.set(alert.id, { key, card, alert });
    return card;
  }

  // An alert that cannot be drawn is displayed by its title alone, and keeps no other back.
  built(alert, context) {
    try {
      return alertCard(alert, context, this.handlers);
    } catch (error) {
      const words = `${alert.title} · ${alert.bed_stream}: this alert cannot be displayed in full (${error.message})`;
      return element("li", { class: "alert fault", "data-id": alert.id, "data-item": alert.id }, words);
    }
  }

  scrollTo(alert) {
    this.cards.get(alert.id)?.card.scrollIntoView({ block: "nearest" });
  }

  focus(alert) {
    this.cards.get(alert.id)?.card.querySelector(".head")?.focus();
  }
}

function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}
