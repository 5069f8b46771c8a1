// The text of an interpretation: each finding marked by its verdict in words, each [n] a button of its citation.
// Positions of findings count Unicode code points. One without a position (contradicted) is not in the text; the
// label of the interpretation counts it.

import { element } from "./element.js";

const NOT_CONFIRMED = "(not confirmed)";

// buttonOf(n, text): a button for citation n, or null where there is none
export function interpretationText(interpretation, buttonOf) {
  const points = Array.from(interpretation.text);
  const part = (start, end) => withButtons(points.slice(start, end).join(""), buttonOf);
  const nodes = [];
  let position = 0;
  const claims = (interpretation.claims ?? []).filter((claim) => claim.start !== null && claim.end !== null);
  for (const claim of claims.sort((a, b) => a.start - b.start)) {
    if (claim.start < position || claim.end > points.length) continue;
    const attributes = { class: "claim", "data-verdict": claim.verdict, title: `${claim.verdict}: ${claim.rule}` };
    nodes.push(...part(position, claim.start), element("span", attributes, ...part(claim.start, claim.end)));
    const following = points.slice(claim.end, claim.end + NOT_CONFIRMED.length + 2).join("");
    const said =
      points.slice(claim.start, claim.end).join("").includes(NOT_CONFIRMED) || following.includes(NOT_CONFIRMED);
    if (claim.verdict === "unsupported" && !said) {
      nodes.push(element("span", { class: "unconfirmed" }, ` ${NOT_CONFIRMED}`));
    }
    position = claim.end;
  }
  return [...nodes, ...part(position, points.length)];
}

function withButtons(text, buttonOf) {
  const pieces = text.split(/(\[\d+\])/).filter((piece) => piece !== "");
  return pieces.map((piece) => {
    const n = /^\[(\d+)\]$/.exec(piece)?.[1];
    return (n && buttonOf(Number(n), piece)) || piece;
  });
}
