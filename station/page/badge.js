// The badge of a priority: shape, number of exclamation marks (IEC 60601-1-8) and colour say the same.

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  PH: { d: "M16 2 31 29H1z", marks: "!!!", y: 25, size: 14 },
  PM: { d: "M16 1 31 16 16 31 1 16z", marks: "!!", y: 21.5, size: 15 },
  PL: { d: "M16 2a14 14 0 1 0 .01 0z", marks: "!", y: 22, size: 17 },
  PN: { d: "M4 4h24v24H4z", marks: "i", y: 22, size: 17 },
};

function drawn(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

export function badge(priority) {
  const { d, marks, y, size } = SHAPES[priority] ?? SHAPES.PN;
  const svg = drawn("svg", { viewBox: "0 0 32 32", class: "badge", "data-priority": priority, "aria-hidden": "true" });
  svg.append(drawn("path", { d }));
  svg.append(drawn("text", { x: 16, y, "font-size": size, "text-anchor": "middle" }, marks));
  return svg;
}
