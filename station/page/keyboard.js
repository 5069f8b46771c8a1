// Keyboard shortcuts of the page. They are off while a person types, and while the help dialog is open.

import { byId } from "./element.js";

// shortcuts: key → function; onDigit: called with 1 to 9
export function addShortcuts(shortcuts, onDigit) {
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (/^[1-9]$/.test(event.key)) {
      onDigit(Number(event.key));
    } else if (Object.hasOwn(shortcuts, event.key)) {
      event.preventDefault();
      shortcuts[event.key]();
    }
  });
}
