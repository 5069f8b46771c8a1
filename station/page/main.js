// The station page: connects the feed to the beds, the list of alerts, the strip and the sound.

import { AlarmSound } from "./alarm_sound.js";
import { AlertList } from "./alert_list.js";
import { Alerts } from "./alerts.js";
import { BedGrid } from "./bed_grid.js";
import { byId, element } from "./element.js";
import { Feed } from "./feed.js";
import { addShortcuts } from "./keyboard.js";
import { acknowledge, keepWho, pauseAudio } from "./nurse_action.js";
import { outranks, PRIORITIES, PRIORITY_LABELS } from "./priority.js";
import { Selection } from "./selection.js";
import { StripPanel } from "./strip_panel.js";

const SYSTEM = "_system"; // bed stream of the site's own technical alarms: in the list, without a tile
const LINK_LOST_PRIORITY = "PL"; // of this screen's own technical alarm

const alerts = new Alerts();
const selection = new Selection();
const sound = new AlarmSound();
const stripPanel = new StripPanel();
const audioPausedUntilMs = new Map(); // by bed stream
let connected = true;

const list = new AlertList(byId("alerts"), selection, { select, cite, acknowledge, silence: pauseAudio });
const beds = new BedGrid(byId("beds"), (alertId) => reveal(alerts.get(alertId)));

new Feed("events", {
  snapshot(doc) {
    byId("site").textContent = `site ${doc.site}`;
    alerts.clear();
    doc.beds.forEach(updateBed);
    doc.vitals.forEach((vitals) => beds.updateVitals(vitals));
    doc.alerts.forEach((alert) => alerts.add(alert));
    refresh();
  },
  alert(doc) {
    const isNew = !alerts.get(doc.id);
    if (!alerts.add(doc)) return;
    if (isNew) announce(doc);
    refresh();
  },
  bed(doc) {
    updateBed(doc);
    refresh();
  },
  vitals(doc) {
    beds.updateVitals(doc);
    byId("no-beds").hidden = true;
  },
  link(isConnected, message) {
    connected = isConnected;
    byId("link").dataset.state = connected ? "live" : "lost";
    byId("link").textContent = connected ? "live" : "no connection";
    if (byId("technical").textContent !== message) byId("technical").textContent = message;
    byId("technical").hidden = message === "";
    updateSound();
  },
});

function updateBed(doc) {
  if (doc.bed_stream === SYSTEM) return;
  beds.updateBed(doc);
  audioPausedUntilMs.set(doc.bed_stream, doc.audio_paused_until ? Date.parse(doc.audio_paused_until) : 0);
}

// For screen readers.
function announce(alert) {
  if (!alert.sounded || !["PH", "PM"].includes(alert.priority)) return;
  byId("announce").textContent = `${PRIORITY_LABELS[alert.priority]} alarm: ${alert.title}, bed ${alert.bed_stream}`;
}

function refresh() {
  const { open } = alerts;
  beds.updateAlarms(alerts);
  drawList();
  byId("no-beds").hidden = beds.size > 0;
  const counts = PRIORITIES.map((priority) => [priority, open.filter((alert) => alert.priority === priority).length]);
  byId("counts").replaceChildren(...counts.filter(([, n]) => n > 0).map(([priority, n]) =>
    element("li", { "data-priority": priority }, `${n} ${PRIORITY_LABELS[priority]}`)));
  updateSound();
}

function drawList() {
  const { displayed } = alerts;
  list.draw(displayed);
  byId("no-alerts").hidden = displayed.length > 0;
}

// A PH alarm sounds through an audio pause.
function isAudible(alert) {
  return alert.sounding && (alert.priority === "PH" || (audioPausedUntilMs.get(alert.bed_stream) ?? 0) < Date.now());
}

function updateSound() {
  let highest = connected ? null : LINK_LOST_PRIORITY;
  for (const { priority } of alerts.open.filter(isAudible)) if (outranks(priority, highest)) highest = priority;
  sound.setPriority(highest);
}

// A second press on the selected alert ends its selection.
function select(alert) {
  if (selection.hasAlert(alert)) clearSelection();
  else setSelection(alert, null);
}

function cite(alert, citation) {
  setSelection(alert, citation);
}

function setSelection(alert, citation) {
  const displayed = alert.segment ? citation : null;
  selection.set(alert.id, displayed?.n ?? null);
  drawList();
  if (alert.segment) stripPanel.show(alert, displayed);
  else stripPanel.hide();
}

function clearSelection() {
  selection.clear();
  stripPanel.hide();
  drawList();
}

function reveal(alert) {
  if (!alert) return;
  setSelection(alert, null);
  list.scrollTo(alert);
}

// Moves the selection by one alert, down (1) or up (-1).
function step(by) {
  const { displayed } = alerts;
  if (!displayed.length) return;
  const selected = displayed.findIndex((alert) => selection.hasAlert(alert));
  const next = selected === -1 ? 0 : Math.max(0, Math.min(displayed.length - 1, selected + by));
  reveal(displayed[next]);
  list.focus(displayed[next]);
}

function withSelected(action) {
  const alert = alerts.get(selection.alertId);
  if (alert && alert.state !== "off") action(alert);
}

function citeSelected(n) {
  const alert = alerts.get(selection.alertId);
  const citation = alert?.citations.find((cited) => cited.n === n);
  if (citation) cite(alert, citation);
}

async function toggleSound() {
  await sound.toggle();
  byId("sound").setAttribute("aria-pressed", String(sound.on));
  byId("sound").textContent = sound.on ? "Audio on" : "Audio off";
}

function drawClock() {
  byId("clock").textContent = new Date().toLocaleTimeString([], { hour12: false });
}

const openHelp = () => byId("help").showModal();

addShortcuts({
  j: () => step(1),
  k: () => step(-1),
  a: () => withSelected(acknowledge),
  s: () => withSelected(pauseAudio),
  m: toggleSound,
  "?": openHelp,
  Escape: clearSelection,
}, citeSelected);

byId("sound").addEventListener("click", toggleSound);
byId("help-open").addEventListener("click", openHelp);
byId("help-close").addEventListener("click", () => byId("help").close());
byId("strip-close").addEventListener("click", clearSelection);
keepWho();
drawClock();
setInterval(drawClock, 1000);
