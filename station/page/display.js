// How this screen displays: desk or wall, colours, order of beds. The address goes before what the browser keeps, so
// that a wall display needs no hand: ?view=wall&theme=dark&units=main/icu-3.

import { byId } from "./element.js";

const DEFAULTS = { view: "desk", theme: "auto", order: "urgency" };
const asked = new URLSearchParams(window.location.search);
const prefersLight = window.matchMedia("(prefers-color-scheme: light)");

export class Display {
  // onChange(): colours, view or order have changed
  constructor(onChange) {
    this.onChange = onChange;
    for (const name of Object.keys(DEFAULTS)) {
      this[name] = asked.get(name) ?? localStorage.getItem(name) ?? DEFAULTS[name];
    }
    for (const [name, id] of [
      ["view", "set-wall"],
      ["theme", "set-theme"],
      ["order", "set-order"],
    ]) {
      byId(id).value = this[name];
      byId(id).addEventListener("change", () => this.set(name, byId(id).value));
    }
    prefersLight.addEventListener("change", () => this.apply());
    window.addEventListener("resize", () => this.fitWall());
  }

  set(name, value) {
    this[name] = value;
    localStorage.setItem(name, value);
    this.apply();
  }

  apply() {
    const light = this.theme === "light" || (this.theme === "auto" && prefersLight.matches);
    document.documentElement.dataset.theme = light ? "light" : "dark";
    document.body.dataset.display = this.view;
    this.onChange();
    this.fitWall();
  }

  // On a wall all beds are in view: the number of columns that makes the tiles largest.
  fitWall() {
    const beds = byId("beds");
    const n = beds.children.length;
    if (this.view !== "wall" || !n) {
      beds.style.removeProperty("--columns");
      beds.style.removeProperty("--rows");
      return;
    }
    const { clientWidth, clientHeight } = beds;
    const sized = Array.from({ length: n }, (_, k) => {
      const [columns, rows] = [k + 1, Math.ceil(n / (k + 1))];
      return { columns, rows, size: Math.min(clientWidth / columns / 1.7, clientHeight / rows) };
    });
    const best = sized.reduce((a, b) => (b.size > a.size ? b : a));
    beds.style.setProperty("--columns", best.columns);
    beds.style.setProperty("--rows", best.rows);
  }
}
