// The panel under the beds: the strip of the selected alert, and the citation that is marked on it.

import { byId } from "./element.js";
import { citationLabel, clockTime } from "./labels.js";
import { fetchStrip } from "./strip.js";
import { StripCanvas } from "./strip_canvas.js";

const SCALE_LABEL = "25 mm/s · 10 mm/mV";

export class StripPanel {
  constructor() {
    this.canvas = new StripCanvas(byId("strip-canvas"), byId("strip-scroll"));
    this.strips = new Map(); // alert id → promise of its strip
    this.requests = 0;
  }

  // The last request wins: a strip that arrives after a newer request is not drawn.
  async show(alert, citation) {
    this.requests += 1;
    const request = this.requests;
    byId("strip-title").textContent = `${alert.title} · ${alert.bed_stream} · ${clockTime(alert.segment.start)}`;
    byId("strip-span").textContent = citation ? spanLabel(citation) : SCALE_LABEL;
    byId("strip").hidden = false;
    try {
      const strip = await this.strip(alert.id);
      if (request === this.requests) this.canvas.show(strip, citation);
    } catch (error) {
      this.strips.delete(alert.id);
      if (request === this.requests) byId("strip-span").textContent = `Strip not available: ${error.message}`;
    }
  }

  hide() {
    this.requests += 1;
    byId("strip").hidden = true;
  }

  strip(alertId) {
    if (!this.strips.has(alertId)) this.strips.set(alertId, fetchStrip(alertId));
    return this.strips.get(alertId);
  }
}

function spanLabel(citation) {
  const label = citationLabel(citation);
  return citation.over_s ? `${label}, one instance of a criterion over ${citation.over_s} s` : label;
}
