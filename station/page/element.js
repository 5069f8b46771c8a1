// DOM elements built from data. Data reaches the page as text nodes and attributes, never as markup.

export const byId = (id) => document.getElementById(id);

// An element with attributes, event listeners ("onclick") and children; null children are left out.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    const enumerated = name.startsWith("data-") || name.startsWith("aria-"); // "true" and "false" are their values
    if (value === null || value === undefined || (value === false && !enumerated)) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true && !enumerated ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
