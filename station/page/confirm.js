// A question before an action that ends monitoring, or that needs a text.

import { byId } from "./element.js";

// Resolves to the text (or "" without a field), or null when the person cancels. field: label of the text
export function confirmed({ title, words, yes = "Yes", field = "" }) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-words").textContent = words;
  byId("confirm-yes").textContent = yes;
  byId("confirm-field").hidden = !field;
  byId("confirm-label").textContent = field;
  byId("confirm-input").value = "";
  return new Promise((resolve) => {
    const end = (answer) => {
      dialog.onclose = null;
      dialog.close();
      resolve(answer);
    };
    byId("confirm-yes").onclick = () => {
      const text = byId("confirm-input").value.trim();
      if (field && !text) byId("confirm-input").focus();
      else end(text);
    };
    byId("confirm-no").onclick = () => end(null);
    dialog.onclose = () => end(null);
    dialog.showModal();
  });
}
