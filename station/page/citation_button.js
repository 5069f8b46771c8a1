// A button that marks a citation on the strip.

import { element } from "./element.js";
import { citationLabel } from "./labels.js";

// text: label of the button; place: "list" or "text", since the same citation may have a button in both.
export function citationButton(alert, citation, selection, handlers, { text, place }) {
  const attributes = {
    type: "button",
    class: "cite",
    "data-n": citation.n,
    "data-key": `cite-${alert.id}-${citation.n}-${place}`,
    "aria-pressed": selection.hasCitation(alert, citation),
    title: citation.criterion ? citation.criterion.rule : citationLabel(citation),
    onclick: () => handlers.cite(alert, citation),
  };
  return element("button", attributes, text);
}
