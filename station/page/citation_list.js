// The measurements that an alert cites: each a button that marks its interval, with its criterion and its beats.

import { element } from "./element.js";
import { citationLabel, limitWords, valueWords } from "./measures.js";

// handlers: {cite(n), hover(n or null)}
export function citationList(alert, handlers) {
  return element(
    "ol",
    { class: "citations", "aria-label": "Cited measurements" },
    ...alert.citations.map((citation) => entry(alert, citation, handlers)),
  );
}

// A button that marks citation n; in the text and in the list.
export function citeButton(n, text, place, handlers) {
  return element(
    "button",
    {
      type: "button",
      class: "cite",
      "data-n": n,
      "data-key": `cite-${n}-${place}`,
      "aria-pressed": "false",
      "aria-label": `mark measurement ${n} on the strip`,
      onclick: () => handlers.cite(n),
      onfocus: () => handlers.hover(n),
      onblur: () => handlers.hover(null),
    },
    text,
  );
}

function entry(alert, citation, handlers) {
  const technical = alert.kind === "technical";
  return element(
    "li",
    { "data-n": citation.n },
    citeButton(citation.n, `[${citation.n}]`, "list", handlers),
    element(
      "div",
      {},
      element("p", { class: "measured" }, citationLabel(citation, technical)),
      criterion(alert, citation),
      beats(citation),
    ),
  );
}

function criterion(alert, citation) {
  if (!citation.criterion && !citation.over_s) return null;
  const { rule, source } = citation.criterion ?? {};
  const limit = limitWords(alert, citation);
  const parts = [
    rule,
    limit && !rule?.includes(limit.split(" ")[1]) ? limit : "",
    source ? `source: ${source}` : "",
    citation.over_s ? `one instance, of ${citation.over_s} s` : "",
  ];
  return element("p", { class: "criterion" }, parts.filter(Boolean).join(" · "));
}

function beats(citation) {
  if (!citation.beats?.length) return null;
  const values = citation.beats.map((beat) => valueWords(beat.value, citation.unit, citation.measure));
  const label = `${values.length} ${values.length === 1 ? "beat" : "beats"}`;
  return element(
    "details",
    {},
    element("summary", {}, label),
    element(
      "ol",
      { class: "beats" },
      ...citation.beats.map((beat, k) => element("li", {}, `${values[k]} at sample ${beat.r_sample}`)),
    ),
  );
}
