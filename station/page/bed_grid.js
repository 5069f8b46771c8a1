// The grid of beds, by bed stream.

import { BedTile } from "./bed_tile.js";

const FRAME_MS = 50; // 20 frames a second are enough for a sweep

export class BedGrid {
  // onAlarm: called with an alert's id when a bed's banner is pressed
  constructor(root, onAlarm) {
    this.root = root;
    this.onAlarm = onAlarm;
    this.tiles = new Map(); // bed stream → tile
    this.colour = getComputedStyle(document.documentElement).getPropertyValue("--trace");
    this.animate();
  }

  get size() {
    return this.tiles.size;
  }

  updateBed(bed) {
    this.tile(bed.bed_stream, bed).updateBed(bed);
  }

  updateVitals(vitals) {
    this.tile(vitals.bed_stream).updateVitals(vitals);
  }

  updateAlarms(alerts) {
    for (const tile of this.tiles.values()) tile.updateAlarm(alerts.openOfBed(tile.bedStream));
  }

  // The bed's tile; a new one takes its place by bed stream.
  tile(bedStream, bed = {}) {
    const known = this.tiles.get(bedStream);
    if (known) return known;
    const tile = new BedTile(bedStream, bed, this.onAlarm);
    this.tiles.set(bedStream, tile);
    const next = [...this.tiles.keys()].sort().find((other) => other > bedStream);
    this.root.insertBefore(tile.root, next ? this.tiles.get(next).root : null);
    return tile;
  }

  animate() {
    let drawnAt = 0;
    const frame = (now) => {
      if (now - drawnAt >= FRAME_MS) {
        drawnAt = now;
        for (const tile of this.tiles.values()) tile.animate(this.colour);
      }
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }
}
