// The text of an interpretation: each claim marked by its verdict, each [n] a button of its citation.
// Claim positions count Unicode code points. A claim without a position (contradicted) is not in the text; the label
// of the interpretation counts it.

import { citationButton } from "./citation_button.js";
import { element } from "./element.js";

export function interpretationText(alert, selection, handlers) {
  const points = Array.from(alert.interpretation.text);
  const withButtons = (start, end) => citationButtons(points.slice(start, end).join(""), alert, selection, handlers);
  const nodes = [];
  let position = 0;
  const claims = alert.interpretation.claims.filter((claim) => claim.start !== null && claim.end !== null);
  for (const claim of claims.sort((a, b) => a.start - b.start)) {
    if (claim.start < position || claim.end > points.length) continue;
    const attributes = { class: "claim", "data-verdict": claim.verdict, title: `${claim.verdict}: ${claim.rule}` };
    const words = element("span", attributes, ...withButtons(claim.start, claim.end));
    nodes.push(...withButtons(position, claim.start), words);
    position = claim.end;
  }
  return [...nodes, ...withButtons(position, points.length)];
}

function citationButtons(text, alert, selection, handlers) {
  const pieces = text.split(/(\[\d+\])/).filter((piece) => piece !== "");
  return pieces.map((piece) => {
    const n = /^\[(\d+)\]$/.exec(piece)?.[1];
    const citation = n && alert.citations.find((cited) => cited.n === Number(n));
    return citation ? citationButton(alert, citation, selection, handlers, { text: piece, place: "text" }) : piece;
  });
}
