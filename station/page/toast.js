// A short message about the last action.

import { byId } from "./element.js";

const TOAST_MS = 6000;
let timer = 0;

// kind: "done" or "warning"
export function toast(message, kind = "done") {
  byId("toast").textContent = message;
  byId("toast").dataset.kind = kind;
  byId("toast").hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { byId("toast").hidden = true; }, TOAST_MS);
}
