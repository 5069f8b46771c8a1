// A canvas with the strip of one alert: marks of citations, calipers, hover. Nothing of another alert is ever on it:
// while a strip is fetched, and when there is none, the canvas says so in the alert's own words.

import { Calipers } from "./calipers.js";
import { fitCanvas } from "./canvas.js";
import { isCitedIn, makeScene, needsRows, panelAt, spanIn, xMm } from "./strip_scene.js";
import { DARK, font, LIGHT, paintScene, placeWords } from "./strip_paint.js";

const MIN_PX_PER_MM = 2.6; // ten seconds fit beside the text on a screen of 1440 pixels
const MAX_PX_PER_MM = 6.4;
const SCROLLBAR_PX = 16;
const EMPTY_HEIGHT_PX = 180;
const NEAR_PX = 4; // a short interval can be hovered within this distance
const PICTURE_PX_PER_MM = 6;

export class StripView {
  // scroll: the element in which the canvas scrolls; onHover(n): number of the citation under the pointer, or null
  constructor(canvas, scroll, onHover = () => {}) {
    this.canvas = canvas;
    this.scroll = scroll;
    this.onHover = onHover;
    this.calipers = new Calipers();
    this.shown = null; // {alert, strip, words}
    this.marked = [];
    this.arranged = []; // the citations for which leads are chosen and ordered
    this.hovered = null;
    this.layout = "page";
    new ResizeObserver(() => this.draw()).observe(scroll);
    this.listen();
  }

  // One value: strip is null while there is none, and words say why.
  show(alert, strip, words = "") {
    const same = this.shown?.alert.id === alert.id && this.shown.strip === strip;
    if (!same) {
      this.calipers.clear();
      this.arranged = [];
      this.scroll.scrollTo({ top: 0, left: 0 });
    }
    this.shown = { alert, strip, words };
    this.draw();
  }

  // arrange: whether the strip may move to show a citation; it never does so under the pointer that reads it.
  mark(citations, hovered = null, arrange = true) {
    const before = new Set(this.arranged.map(({ n }) => n)); // a new version of the alert has the same numbers
    const added = arrange && citations.find(({ n }) => !before.has(n));
    this.marked = citations;
    this.hovered = hovered;
    if (arrange) this.arranged = citations;
    this.draw();
    if (added && this.scene) {
      const middle = xMm(this.scene, (added.start_sample + added.end_sample) / 2) * this.pxPerMm;
      this.scroll.scrollLeft = Math.max(0, middle - this.scroll.clientWidth / 2);
    }
  }

  setLayout(layout) {
    this.layout = layout;
    this.calipers.clear();
    this.draw();
  }

  get colours() {
    return document.documentElement.dataset.theme === "light" ? LIGHT : DARK;
  }

  draw() {
    if (!this.shown) return;
    const { alert, strip } = this.shown;
    if (strip) this.drawStrip(alert, strip);
    else this.drawWords(alert);
    const { dataset } = this.canvas;
    dataset.alert = alert.id;
    dataset.strip = String(Boolean(strip));
    dataset.span = this.marked.map((citation) => `${citation.start_sample}-${citation.end_sample}`).join(" ");
    dataset.leads = this.marked.map((citation) => citation.leads.join(",")).join(" ");
    dataset.layout = this.scene?.layout ?? "";
    dataset.gain = this.scene?.gain ?? "";
  }

  sceneOf(alert, strip) {
    const first = this.arranged.flatMap((citation) => citation.leads);
    const scene = makeScene(alert, strip, this.layout, first);
    return needsRows(scene, this.arranged) ? makeScene(alert, strip, "rows", first) : scene;
  }

  drawStrip(alert, strip) {
    this.scene = this.sceneOf(alert, strip);
    const fitting = (this.scroll.clientWidth - SCROLLBAR_PX) / this.scene.widthMm;
    this.pxPerMm = Math.max(MIN_PX_PER_MM, Math.min(MAX_PX_PER_MM, fitting));
    const context = this.size(this.scene.widthMm * this.pxPerMm, this.scene.heightMm * this.pxPerMm);
    const { pxPerMm, colours, marked, hovered } = this;
    paintScene(context, this.scene, { pxPerMm, colours, marked, hovered });
    this.calipers.paint(context, this.scene, pxPerMm, colours);
    this.canvas.setAttribute("aria-label", `ECG strip: ${alert.title}, ${placeWords(alert)}`);
  }

  drawWords(alert) {
    this.scene = null;
    const width = Math.max(320, this.scroll.clientWidth - SCROLLBAR_PX);
    const context = this.size(width, EMPTY_HEIGHT_PX);
    context.fillStyle = this.colours.paper;
    context.fillRect(0, 0, width, EMPTY_HEIGHT_PX);
    context.fillStyle = this.colours.title;
    context.textAlign = "left";
    context.font = font(4, 4, 700);
    context.fillText(`${alert.title} · ${placeWords(alert)}`, 16, 40);
    context.font = font(3.6, 4);
    context.fillStyle = this.colours.quiet;
    context.fillText(this.shown.words, 16, 72);
    this.canvas.setAttribute("aria-label", `${alert.title}, ${placeWords(alert)}: ${this.shown.words}`);
  }

  size(width, height) {
    const { context } = fitCanvas(this.canvas, width, height);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    return context;
  }

  // The strip as on paper, for a file: {blob of a PNG}.
  picture() {
    const { alert, strip } = this.shown;
    const canvas = document.createElement("canvas");
    const scene = this.sceneOf(alert, strip);
    [canvas.width, canvas.height] = [scene.widthMm * PICTURE_PX_PER_MM, scene.heightMm * PICTURE_PX_PER_MM];
    const view = { pxPerMm: PICTURE_PX_PER_MM, colours: LIGHT, marked: this.marked, hovered: this.hovered };
    paintScene(canvas.getContext("2d"), scene, view);
    return new Promise((resolve) => {
      canvas.toBlob(resolve, "image/png");
    });
  }

  listen() {
    const at = ({ offsetX, offsetY }) => [offsetX / this.pxPerMm, offsetY / this.pxPerMm];
    this.canvas.addEventListener("pointerdown", (event) => {
      if (!this.scene || event.button !== 0) return;
      this.measuring = this.calipers.begin(this.scene, ...at(event));
      if (this.measuring) this.canvas.setPointerCapture(event.pointerId);
      this.draw();
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!this.scene) return;
      if (this.measuring) {
        this.calipers.moveTo(this.scene, ...at(event));
        this.draw();
      } else {
        this.onHover(this.citationAt(...at(event)));
      }
    });
    this.canvas.addEventListener("pointerup", () => {
      this.measuring = false;
      if (this.calipers.legs && this.calipers.legs.a === this.calipers.legs.b) this.calipers.clear();
      this.draw();
    });
    this.canvas.addEventListener("pointerleave", () => this.onHover(null));
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  onKey(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by || !this.scene || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (!this.calipers.legs) this.calipers.place(this.scene);
    this.calipers.step(this.scene, by * (event.shiftKey ? 10 : 1), event.ctrlKey);
    this.draw();
  }

  // Number of the narrowest marked citation under a point, or null.
  citationAt(xMillimetres, yMillimetres) {
    const panel = panelAt(this.scene, xMillimetres, yMillimetres);
    if (!panel) return null;
    const near = NEAR_PX / this.pxPerMm;
    const under = this.shown.alert.citations.filter((citation) => {
      const span = isCitedIn(panel, citation) ? spanIn(panel, citation) : null;
      return (
        span && xMillimetres >= xMm(this.scene, span.from) - near && xMillimetres <= xMm(this.scene, span.to) + near
      );
    });
    const width = (citation) => citation.end_sample - citation.start_sample;
    return under.sort((a, b) => width(a) - width(b))[0]?.n ?? null;
  }
}
