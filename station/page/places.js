// The units that this screen displays: all that the role has, or those in the address (?units=main/icu-3,main/icu-4).

import { byId, element } from "./element.js";

const asked = new URLSearchParams(window.location.search).get("units") ?? "";
const SYSTEM = "_system";

// "" or "units=…": part of a query of the server
export const placesQuery = () => (asked ? new URLSearchParams({ units: asked }).toString() : "");

let known = "";

// sites: [{site, units}]
export function fillPlaces(sites) {
  const units = sites.flatMap(({ site, units: names }) =>
    names.filter((name) => name !== SYSTEM).map((name) => `${site}/${name}`),
  );
  const places = [...new Set([...sites.map(({ site }) => site), ...units, ...asked.split(",").filter(Boolean)])];
  const key = places.join();
  if (known === key) return;
  known = key;
  const options = [
    ["", "all units"],
    ...places.map((place) => [place, place.includes("/") ? place.replace("/", " · ") : `${place}, all units`]),
  ];
  if (asked.includes(",")) options.push([asked, asked.replaceAll(",", ", ")]);
  byId("place").replaceChildren(
    ...options.map(([value, words]) => element("option", { value, selected: value === asked }, words)),
  );
}

// Another place is another page: its feed, its tiles and its sound begin anew.
byId("place").addEventListener("change", () => {
  const address = new URL(window.location.href);
  if (byId("place").value) address.searchParams.set("units", byId("place").value);
  else address.searchParams.delete("units");
  window.location.assign(address);
});
