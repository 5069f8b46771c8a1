// The row over the beds: beds with a lethal or medium alarm whose tiles are out of view, and how many they are.

import { badge } from "./badge.js";
import { byId, element } from "./element.js";
import { sinceOnset } from "./labels.js";

const MAX_CHIPS = 6;

export class PinnedRow {
  // show(tile): scrolls to a tile
  constructor(root, show) {
    this.root = root;
    this.show = show;
  }

  draw(tiles) {
    byId("pinned").hidden = tiles.length === 0;
    const key = tiles.map(({ alert }) => `${alert.id}/${alert.version}`).join();
    if (this.drawn !== key) {
      this.drawn = key;
      const words = `${tiles.length} ${tiles.length === 1 ? "bed" : "beds"} with alarms out of view`;
      byId("pinned-count").textContent = words;
      this.root.replaceChildren(...tiles.slice(0, MAX_CHIPS).map((tile) => this.chip(tile)));
    }
    tiles.slice(0, MAX_CHIPS).forEach((tile, k) => {
      this.root.children[k].querySelector(".since").textContent = sinceOnset(tile.alert);
    });
  }

  chip(tile) {
    const attributes = {
      type: "button",
      class: "pin",
      "data-priority": tile.alert.priority,
      onclick: () => this.show(tile),
    };
    return element(
      "li",
      {},
      element(
        "button",
        attributes,
        badge(tile.alert.priority),
        element("strong", {}, tile.bed.name),
        ` ${tile.alert.title} `,
        element("span", { class: "since" }),
      ),
    );
  }
}
