// A short message about the last action.

import { byId } from "./element.js";

const TOAST_MS = 5000;
let timer = 0;

export function toast(message) {
  byId("toast").textContent = message;
  byId("toast").hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { byId("toast").hidden = true; }, TOAST_MS);
}
