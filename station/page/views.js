// The part of the page in view, by the fragment of the address: #beds, #alarms (of a phone), #history, #bed=<key>.

export const BEDS = "beds";
export const ALARMS = "alarms";
export const HISTORY = "history";
const BED = "bed";

// The name of the view; with details {view, bed: key or ""}.
export function currentView(details = false) {
  const [name, key = ""] = decodeURIComponent(window.location.hash.slice(1)).split("=");
  const view = [ALARMS, HISTORY, BED].includes(name) ? name : BEDS;
  return details ? { view, bed: view === BED ? key : "" } : view;
}

export function openView(view) {
  window.location.hash = view;
}

export function openBed(key) {
  window.location.hash = `${BED}=${encodeURIComponent(key)}`;
}

export function onView(handler) {
  window.addEventListener("hashchange", () => {
    mark();
    handler();
  });
  mark();
}

function mark() {
  for (const link of document.querySelectorAll("[data-tab]")) {
    if (link.dataset.tab === currentView()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
