// The alarm limits of a bed: default, what is set, and the bounds within which it can be set.

import { element } from "./element.js";

const PART_WORDS = { seconds: "s", rate: "a minute", beats: "beats", mv: "mV", ms: "ms" };

// table: of /api/limits; limits: of the bed document; save(args) sends the changes, null where the person may not
export function limitsForm(table, limits, save) {
  const rows = Object.entries(table)
    .filter(([, rule]) => Object.keys(rule.bounds).length || !rule.lethal)
    .map(([code, rule]) => row(code, rule, limits[code] ?? {}));
  const send = save
    ? element("button", { type: "submit", class: "ack" }, "Send changes")
    : element("p", { class: "quiet" }, "Limits are changed by people with the role admin.");
  const attributes = {
    class: "limits",
    onsubmit: (event) => {
      event.preventDefault();
      if (save && event.target.reportValidity()) save(changes(event.target, limits));
    },
  };
  return element(
    "form",
    attributes,
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element("tr", {}, ...["Alarm", "Limit", "Bounds", "On"].map((name) => element("th", { scope: "col" }, name))),
      ),
      element("tbody", {}, ...rows),
    ),
    send,
  );
}

function row(code, rule, set) {
  const parts = Object.entries(rule.bounds);
  const changed = Object.keys(set).length > 0;
  const on = set.on ?? rule.default.on ?? true;
  return element(
    "tr",
    { "data-priority": rule.priority, "data-changed": changed },
    element("th", { scope: "row" }, rule.title, changed ? element("span", { class: "set" }, " changed") : null),
    element("td", {}, ...parts.map(([part, [low, high]]) => number(code, rule, part, low, high, set))),
    element(
      "td",
      { class: "quiet" },
      parts.map(([part, [low, high]]) => `${low}–${high} ${PART_WORDS[part] ?? part}`).join(", "),
    ),
    element(
      "td",
      {},
      rule.lethal
        ? "always"
        : element("input", {
            type: "checkbox",
            name: `${code}.on`,
            checked: on,
            "data-was": on,
            "aria-label": `${rule.title} on`,
          }),
    ),
  );
}

function number(code, rule, part, low, high, set) {
  const value = set[part] ?? rule.default[part];
  const attributes = {
    type: "number",
    name: `${code}.${part}`,
    min: low,
    max: high,
    step: step(low, high),
    value: value ?? "",
    "data-was": value ?? "",
    "aria-label": `${rule.title}, ${PART_WORDS[part] ?? part}`,
  };
  return element("label", {}, element("input", attributes), ` ${PART_WORDS[part] ?? part} `);
}

const step = (low, high) => (high - low <= 1 ? 0.01 : high - low <= 5 ? 0.5 : 1);

// {CODE: {part: value}} of what differs from what was displayed; a value that is emptied is reset.
function changes(form) {
  const out = {};
  for (const input of form.querySelectorAll("input")) {
    const [code, part] = input.name.split(".");
    const value = input.type === "checkbox" ? input.checked : input.value === "" ? null : Number(input.value);
    if (String(value ?? "") !== input.dataset.was) out[code] = { ...out[code], [part]: value };
  }
  return out;
}
