// The list of alerts: one card each. A card is built anew only when its alert or its selection has changed.

import { alertCard } from "./alert_card.js";

export class AlertList {
  // handlers: {select(alert), cite(alert, citation), acknowledge(alert), silence(alert)}
  constructor(root, selection, handlers) {
    this.root = root;
    this.selection = selection;
    this.handlers = handlers;
    this.cards = new Map(); // alert id → {key, card}
  }

  draw(alerts) {
    const focused = document.activeElement?.dataset?.key;
    const cards = alerts.map((alert) => this.card(alert));
    cards.forEach((card, k) => {
      const displaced = this.root.children[k] ?? null;
      if (displaced !== card) this.root.insertBefore(card, displaced);
    });
    while (this.root.children.length > cards.length) this.root.lastChild.remove();
    const ids = new Set(alerts.map((alert) => alert.id));
    for (const id of this.cards.keys()) if (!ids.has(id)) this.cards.delete(id);
    if (focused && document.activeElement?.dataset?.key !== focused) {
      this.root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }
  }

  card(alert) {
    const selected = this.selection.hasAlert(alert);
    const key = `${alert.version}/${selected}/${selected ? this.selection.citationNumber : ""}`;
    const known = this.cards.get(alert.id);
    if (known?.key === key) return known.card;
    const card = alertCard(alert, this.selection, this.handlers);
    known?.card.replaceWith(card);
    this.cards.set(alert.id, { key, card });
    return card;
  }

  scrollTo(alert) {
    this.cards.get(alert.id)?.card.scrollIntoView({ block: "nearest" });
  }

  focus(alert) {
    this.cards.get(alert.id)?.card.querySelector(".head").focus();
  }
}
