// The grid of beds: by urgency in classes, inside a class by unit and bed. A tile moves only when its class changes.

import { bedClass, REST } from "./urgency.js";
import { BedTile } from "./bed_tile.js";
import { isPressed } from "./press.js";
import { Roving } from "./roving.js";

const FRAME_MS = 30;
const CHECK_MS = 250;
const HELD_MS = 2500; // tiles do not move while a pointer was in the grid this lately
const byName = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;

export class BedGrid {
  // handlers: {open(bed), alarm(alert)}; onView(): the set of tiles in view has changed
  constructor(root, handlers, onView) {
    this.root = root;
    this.handlers = handlers;
    this.tiles = new Map(); // bed key → tile
    this.classes = new Map(); // bed key → class
    this.byUrgency = true;
    this.pointerAt = -Infinity;
    this.inView = new Set(); // more than half of the tile
    this.visible = new Set(); // any part of it
    this.roving = new Roving(root, ".bed");
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, intersectionRatio } of entries) {
        note(this.inView, target.dataset.item, intersectionRatio > 0.5);
        note(this.visible, target.dataset.item, intersectionRatio > 0);
      }
      onView();
    }, { threshold: [0, 0.5, 1] });
    for (const kind of ["pointermove", "pointerdown"]) {
      root.addEventListener(kind, () => { this.pointerAt = performance.now(); });
    }
    this.readColours();
    this.animate();
    setInterval(() => this.tick(), CHECK_MS);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.colours = { trace: colour("--trace"), clip: colour("--mark") };
  }

  tile(bed) {
    const known = this.tiles.get(bed.key);
    if (known) return known;
    const tile = new BedTile(bed, this.handlers);
    this.tiles.set(bed.key, tile);
    this.observer.observe(tile.root);
    this.moved = true;
    return tile;
  }

  remove(key) {
    const tile = this.tiles.get(key);
    if (!tile) return;
    this.observer.unobserve(tile.root);
    tile.root.remove();
    this.tiles.delete(key);
    this.inView.delete(key);
    this.visible.delete(key);
    this.classes.delete(key);
  }

  // openByBed: bed key → open alerts, first the one that needs someone first
  updateAlarms(openByBed) {
    for (const [key, tile] of this.tiles) {
      const open = openByBed.get(key) ?? [];
      tile.drawBanner(open);
      const found = bedClass(open);
      if (this.classes.get(key) !== found) this.moved = true;
      this.classes.set(key, found);
    }
    if (this.moved) this.arrange();
  }

  // The order of beds; while a pointer is among the tiles they wait.
  arrange() {
    const held = isPressed() || performance.now() - this.pointerAt < HELD_MS;
    if (held && this.root.children.length >= this.tiles.size) return;
    this.moved = false;
    const rank = (tile) => (this.byUrgency ? this.classes.get(tile.bed.key) ?? REST : 0);
    const sorted = [...this.tiles.values()].sort((a, b) =>
      rank(a) - rank(b) || byName(a.bed.name, b.bed.name) || byName(a.bed.key, b.bed.key));
    sorted.forEach((tile, k) => {
      const displaced = this.root.children[k] ?? null;
      if (displaced !== tile.root) this.root.insertBefore(tile.root, displaced);
    });
    this.roving.update();
  }

  setOrder(byUrgency) {
    this.byUrgency = byUrgency;
    this.arrange();
  }

  // Tiles with a lethal or medium alarm that are out of view, the most urgent first.
  get outOfView() {
    return [...this.tiles.values()]
      .filter((tile) => tile.alert && this.classes.get(tile.bed.key) < REST && !this.inView.has(tile.bed.key))
      .sort((a, b) => this.classes.get(a.bed.key) - this.classes.get(b.bed.key) || byName(a.bed.name, b.bed.name));
  }

  tick() {
    for (const tile of this.tiles.values()) {
      tile.displayState();
      tile.tick();
    }
    if (this.moved) this.arrange();
  }

  animate() {
    let drawnAt = 0;
    const frame = (now) => {
      if (now - drawnAt >= FRAME_MS) {
        drawnAt = now;
        for (const [key, tile] of this.tiles) if (this.visible.has(key)) tile.animate(this.colours);
      }
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }
}

function note(set, key, isIn) {
  if (isIn) set.add(key);
  else set.delete(key);
}
