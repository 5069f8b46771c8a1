// The station page: connects the feed to the ward, and the ward to beds, list, reader, signs and sound.

import { AlarmSound } from "./alarm_sound.js";
import { AlertList } from "./alert_list.js";
import { AlertReader } from "./alert_reader.js";
import { BedGrid } from "./bed_grid.js";
import { BedView } from "./bed_view.js";
import { addControls, openHelp } from "./controls.js";
import { Display } from "./display.js";
import { byId, element } from "./element.js";
import { Feed } from "./feed.js";
import { HistoryView } from "./history_view.js";
import { addShortcuts } from "./keyboard.js";
import { loggedIn } from "./login.js";
import { keepWho, NurseActions, person } from "./nurse_action.js";
import { PendingActions } from "./pending_actions.js";
import { PinnedRow } from "./pinned_row.js";
import { fillPlaces, placesQuery } from "./places.js";
import { outranks, PRIORITIES, PRIORITY_LABELS } from "./priority.js";
import { Selection } from "./selection.js";
import { serverClock } from "./server_clock.js";
import { SignRoom, Signs, unanswered } from "./signs.js";
import { toast } from "./toast.js";
import { isOff, isPresent } from "./urgency.js";
import { BEDS, currentView, HISTORY, onView, openBed, openView } from "./views.js";
import { Ward } from "./ward.js";

const TICK_MS = 250;

const ward = new Ward();
const selection = new Selection();
const sound = new AlarmSound(() => signs?.drawSound());
const signs = new Signs(sound);
const pending = new PendingActions(
  () => drawList(),
  (message) => toast(message),
);
const actions = new NurseActions(pending);
const handlers = { select, acknowledge, silence, pending: (alert) => pending.words(alert), close: clearSelection };
const list = new AlertList(byId("alerts"), selection, handlers);
const reader = new AlertReader(selection, handlers);
const pinned = new PinnedRow(byId("pinned-beds"), (tile) => tile.root.scrollIntoView({ block: "center" }));
const beds = new BedGrid(byId("beds"), { open: (bed) => openBed(bed.key), alarm: (alert) => reveal(alert) }, () =>
  pinned.draw(beds.outOfView),
);
const bedView = new BedView({
  select: (alert) => setSelection(alert),
  close: () => openView(BEDS),
  actions,
  colours: () => beds.colours,
});
const historyView = new HistoryView({
  select: (alert) => setSelection(alert),
  sites: () => ward.sites,
  query: placesQuery,
});
const display = new Display(() => {
  beds.readColours();
  beds.setOrder(display.order === "urgency");
  reader.view.draw();
  bedView.chart?.draw();
});
let selectedAlert = null; // of the selection; one of the history is not among the ward's
let dirty = true; // alarms have changed since they were drawn

new Feed(placesQuery(), {
  snapshot(doc, fetched, since) {
    const { gone, missed } = ward.takeSnapshot(doc, fetched, since);
    gone.forEach((key) => beds.remove(key));
    for (const bed of ward.beds.values()) {
      const tile = beds.tile(bed);
      tile.update();
      if (bed.vitals) tile.updateVitals();
    }
    fillPlaces(ward.sites);
    signs.drawMissed(missed, since);
    refresh();
    showView();
  },
  alert(doc) {
    const isNew = !ward.alerts.get(doc.id);
    if (!ward.alerts.add(doc)) return;
    pending.alertChanged(doc);
    if (isNew) announce(doc);
    refresh();
  },
  bed(doc) {
    const bed = ward.takeBed(doc);
    if (!bed) return;
    beds.tile(bed).update();
    pending.bedChanged(bed.key, doc);
    if (bedView.bed === bed) bedView.update();
    dirty = true;
  },
  vitals(doc) {
    const bed = ward.takeVitals(doc);
    if (!bed) return;
    beds.tile(bed).updateVitals();
    if (bedView.bed === bed) bedView.updateVitals(doc);
  },
  unreadable(doc) {
    ward.screen.addUnreadable(doc);
    refresh();
  },
  link(state) {
    ward.screen.link = state;
    const { connected } = ward.screen;
    byId("link").dataset.state = connected ? "live" : "lost";
    const words = connected ? "live" : "no connection";
    if (byId("link").textContent !== words) byId("link").textContent = words;
  },
});

// For screen readers.
function announce(alert) {
  if (!alert.sounded || isOff(alert) || !["PH", "PM"].includes(alert.priority)) return;
  byId("announce").textContent = `${PRIORITY_LABELS[alert.priority]} alarm: ${alert.title}, bed ${alert.bed_stream}`;
}

function refresh() {
  dirty = false;
  const alarms = ward.updateScreenAlarms();
  screenKey = keyOf(alarms);
  const { open } = ward;
  beds.updateAlarms(ward.openByBed);
  display.fitWall();
  signs.drawTechnical(alarms);
  drawList();
  drawSelected();
  drawCounts(open);
  byId("no-beds").hidden = ward.beds.size > 0;
  pinned.draw(beds.outOfView);
  updateSound(open);
}

let screenKey = "";
const keyOf = (alarms) => alarms.map((alarm) => `${alarm.id}/${alarm.version}/${alarm.words}`).join();

// What comes with time alone: alarms of this screen, unanswered alarms, the clock.
function tick() {
  const alarms = ward.updateScreenAlarms();
  if (dirty || keyOf(alarms) !== screenKey) refresh();
  const { open } = ward;
  signs.drawUnanswered(unanswered(open));
  updateSound(open);
  pinned.draw(beds.outOfView);
  byId("clock").textContent = new Date(serverClock.now()).toLocaleTimeString([], { hour12: false });
}

function drawCounts(open) {
  const counts = PRIORITIES.map((priority) => {
    const all = open.filter((alert) => alert.priority === priority);
    return [priority, all.filter(isPresent).length, all.length];
  });
  byId("counts").replaceChildren(
    ...counts
      .filter(([, , n]) => n > 0)
      .map(([priority, present, n]) =>
        element(
          "li",
          { "data-priority": priority },
          element("strong", {}, String(present)),
          ` ${PRIORITY_LABELS[priority]}`,
          n > present ? element("span", { class: "over" }, ` +${n - present} over`) : null,
        ),
      ),
  );
}

function drawList() {
  const { displayed } = ward;
  list.draw(displayed);
  byId("no-alerts").hidden = displayed.length > 0;
}

// The server decides which alerts sound, an audio pause included; the alarms of this screen sound until acknowledged.
function updateSound(open) {
  let highest = null;
  for (const alert of open) if (alert.sounding && outranks(alert.priority, highest)) highest = alert.priority;
  sound.setPriority(
    highest,
    unanswered(open).some((alert) => alert.priority === highest),
  );
}

function acknowledge(alert) {
  if (!alert.screen) return actions.acknowledge(alert);
  const by = person();
  if (!by) return false;
  for (const id of alert.members ?? [alert.id]) ward.screen.acknowledge(id, by);
  refresh();
  return true;
}

function silence(alert) {
  return actions.pauseAudio(alert);
}

// A second press on the selected alert ends its selection.
function select(alert) {
  if (selection.hasAlert(alert)) clearSelection();
  else setSelection(alert);
}

function setSelection(alert) {
  selectedAlert = alert;
  const { citations } = alert;
  selection.set(alert.id, citations.length && alert.segment ? [citations[0].n] : []);
  drawList();
  if (alert.screen) reader.hide();
  else reader.show(alert);
  document.body.dataset.reading = String(!alert.screen);
}

function clearSelection() {
  selectedAlert = null;
  selection.clear();
  reader.hide();
  document.body.dataset.reading = "false";
  drawList();
}

// A newer version of the selected alert.
function drawSelected() {
  if (!selectedAlert || selectedAlert.screen) return;
  const newest = ward.alerts.get(selectedAlert.id);
  if (!newest || newest === selectedAlert) return;
  selectedAlert = newest;
  reader.show(newest);
}

function reveal(alert) {
  setSelection(alert);
  list.scrollTo(alert);
}

// Moves the selection by one alert, down (1) or up (-1).
function step(by) {
  const { displayed } = ward;
  if (!displayed.length) return;
  const selected = displayed.findIndex((alert) => selection.hasAlert(alert));
  const next = selected === -1 ? 0 : Math.max(0, Math.min(displayed.length - 1, selected + by));
  reveal(displayed[next]);
  list.focus(displayed[next]);
}

function withSelected(action) {
  const alert = selectedAlert && (ward.displayed.find((found) => selection.hasAlert(found)) ?? selectedAlert);
  if (alert && !isOff(alert)) action(alert);
}

function escape() {
  if (selectedAlert) clearSelection();
  else if (currentView() !== BEDS) openView(BEDS);
}

function showView() {
  const { view, bed: key } = currentView(true);
  document.body.dataset.view = view;
  const bed = ward.beds.get(key);
  byId("bed-view").hidden = !bed;
  byId("history").hidden = view !== HISTORY;
  if (bed && bedView.bed !== bed) bedView.show(bed);
  if (!bed && bedView.bed) bedView.hide();
}

addShortcuts(
  {
    j: () => step(1),
    k: () => step(-1),
    a: () => withSelected((alert) => alert.acknowledged || acknowledge(alert)),
    s: () => withSelected((alert) => alert.screen || silence(alert)),
    m: () => sound.toggle(),
    "?": openHelp,
    Escape: escape,
  },
  (n) => selectedAlert?.citations.some((cited) => cited.n === n) && reader.cite(n),
);

addControls(sound);
onView(() => {
  showView();
  if (currentView() === HISTORY) historyView.show();
});
loggedIn().then(keepWho, () => keepWho(null));
display.apply();
signs.drawSound();
new SignRoom(byId("signs"), document.querySelector("main"));
showView();
if (currentView() === HISTORY) historyView.show();
setInterval(tick, TICK_MS);
