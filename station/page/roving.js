// One tab stop for a list of items: arrow keys move between them, Tab goes on to the next part of the page.

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
const FOCUSABLE = "button, a[href], input, select";

export class Roving {
  // items: selector of the items in root, each with buttons; the buttons of the current item alone are tab stops
  constructor(root, items) {
    this.root = root;
    this.items = items;
    this.current = null; // data-key of the current item
    root.addEventListener("keydown", (event) => this.onKey(event));
    root.addEventListener("focusin", (event) => this.enter(event.target.closest(items)));
  }

  enter(item) {
    if (!item || item.dataset.item === this.current) return;
    this.current = item.dataset.item;
    this.update();
  }

  // To be called after items came or went.
  update() {
    const all = [...this.root.querySelectorAll(this.items)];
    if (!all.some((item) => item.dataset.item === this.current)) this.current = all[0]?.dataset.item ?? null;
    for (const item of all) {
      const tabIndex = item.dataset.item === this.current ? 0 : -1;
      for (const button of item.querySelectorAll(FOCUSABLE)) {
        if (button.tabIndex !== tabIndex) button.tabIndex = tabIndex;
      }
    }
  }

  onKey(event) {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...this.root.querySelectorAll(this.items)];
    const from = all.indexOf(event.target.closest(this.items));
    const next = all[Math.max(0, Math.min(all.length - 1, from + step))];
    if (!next || from === -1) return;
    event.preventDefault();
    next.querySelector(FOCUSABLE)?.focus();
  }
}
