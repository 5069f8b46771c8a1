// The dialogs of the bar: help, and display with sound.

import { byId } from "./element.js";

export const openHelp = () => byId("help").showModal();

export function addControls(sound) {
  byId("sound").addEventListener("click", () => sound.toggle());
  byId("help-open").addEventListener("click", openHelp);
  byId("help-close").addEventListener("click", () => byId("help").close());
  byId("display-open").addEventListener("click", () => byId("display").showModal());
  byId("display-close").addEventListener("click", () => byId("display").close());
  byId("set-volume").value = sound.volume * 100;
  byId("set-volume").addEventListener("input", () => sound.setVolume(byId("set-volume").value / 100));
  for (const priority of ["PH", "PM", "PL"]) {
    byId(`test-${priority}`).addEventListener("click", () => sound.test(priority));
  }
}
