// The station page: wires the feed to the beds, the list, the strip and the sound.

import { Alerts } from "./alerts.js";
import { Beds } from "./beds.js";
import { Feed, post } from "./feed.js";
import { Sound } from "./sound.js";
import { Strip, unpack } from "./strip.js";
import { citationWords, clockTime, element, PRIORITIES, PRIORITY_WORDS } from "./words.js";

const SYSTEM = "_system"; // the bed stream of what concerns the whole site
const SILENCE_S = 120;
const TOAST_MS = 5000;
const $ = (id) => document.getElementById(id);

const sound = new Sound();
const strips = new Map(); // alert id → promise of its strip
const strip = new Strip($("strip-canvas"), $("strip-scroll"));
const pausedUntil = new Map(); // bed stream → ms
const beds = new Beds($("beds"), (id) => select(alerts.byId.get(id), true));
const alerts = new Alerts($("alerts"), {
  select: (alert) => select(alert),
  cite: (alert, citation) => cite(alert, citation),
  acknowledge: (alert) => act("acknowledge", alert, {}),
  silence: (alert) => act("silence", alert, { seconds: SILENCE_S }),
});

new Feed("events", {
  snapshot(doc) {
    $("site").textContent = `site ${doc.site}`;
    alerts.byId.clear();
    doc.beds.forEach(takeBed);
    doc.vitals.forEach((v) => beds.vitals(v));
    doc.alerts.forEach((a) => alerts.take(a));
    refresh();
  },
  alert(doc) {
    const before = alerts.byId.get(doc.id);
    if (!alerts.take(doc)) return;
    if (!before && doc.sounded && ["PH", "PM"].includes(doc.priority)) $("announce").textContent = `${PRIORITY_WORDS[doc.priority]} alarm: ${doc.title}, bed ${doc.bed_stream}`;
    refresh();
  },
  bed(doc) { takeBed(doc); refresh(); },
  vitals(doc) { beds.vitals(doc); $("no-beds").hidden = true; },
  link(state, words) {
    $("link").dataset.state = state;
    $("link").textContent = state === "live" ? "live" : "no connection";
    if ($("technical").textContent !== words) $("technical").textContent = words;
    $("technical").hidden = words === "";
    linkLost = state === "lost";
    soundWhatIsWorst();
  },
});

let linkLost = false;

function takeBed(doc) {
  if (doc.bed_stream === SYSTEM) return; // its alerts are in the list; there is nobody in that bed
  beds.bed(doc);
  pausedUntil.set(doc.bed_stream, doc.audio_paused_until ? Date.parse(doc.audio_paused_until) : 0);
}

function refresh() {
  beds.alerts(alerts.all);
  alerts.draw();
  const open = alerts.all.filter((a) => a.state !== "off");
  $("no-alerts").hidden = alerts.root.children.length > 0;
  $("no-beds").hidden = beds.tiles.size > 0;
  $("counts").replaceChildren(...PRIORITIES.map((p) => [p, open.filter((a) => a.priority === p).length]).filter(([, n]) => n)
    .map(([p, n]) => element("li", { "data-priority": p }, `${n} ${PRIORITY_WORDS[p]}`)));
  soundWhatIsWorst();
}

// A lost connection is a technical alarm of low priority of this screen; a lethal alarm sounds through a pause.
function soundWhatIsWorst() {
  const sounding = alerts.all.filter((a) => a.sounding && a.state !== "off" && (a.priority === "PH" || (pausedUntil.get(a.bed_stream) ?? 0) < Date.now()));
  const worst = PRIORITIES.find((p) => sounding.some((a) => a.priority === p));
  sound.want(worst && worst !== "PN" ? worst : linkLost ? "PL" : null);
}

function select(alert, scroll = false) {
  if (!alert) return;
  const again = alerts.selected === alert.id && !scroll;
  alerts.selected = again ? null : alert.id;
  alerts.cited = null;
  alerts.draw();
  if (again) return closeStrip();
  if (scroll) alerts.cards.get(alert.id)?.card.scrollIntoView({ block: "nearest" });
  showStrip(alert, null);
}

function cite(alert, citation) {
  alerts.selected = alert.id;
  alerts.cited = citation.n;
  alerts.draw();
  showStrip(alert, citation);
}

async function showStrip(alert, citation) {
  if (!alert.segment) return closeStrip();
  $("strip-title").textContent = `${alert.title} · ${alert.bed_stream} · ${clockTime(alert.segment.start)}`;
  $("strip-span").textContent = citation ? citationWords(citation) + (citation.over_s ? `, an instance of a rule over ${citation.over_s} s` : "") : "25 mm/s · 10 mm/mV";
  $("strip").hidden = false;
  try {
    if (!strips.has(alert.id)) strips.set(alert.id, fetchStrip(alert.id));
    const found = await strips.get(alert.id);
    if (alerts.selected === alert.id && alerts.cited === (citation?.n ?? null)) strip.show(found, citation);
  } catch (error) {
    strips.delete(alert.id);
    $("strip-span").textContent = `The strip cannot be shown: ${error.message}`;
  }
}

async function fetchStrip(id) {
  const answer = await fetch(`api/strips/${encodeURIComponent(id)}`);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `status ${answer.status}`);
  return unpack(await answer.json());
}

function closeStrip() {
  $("strip").hidden = true;
  alerts.cited = null;
  alerts.draw();
}

async function act(action, alert, args) {
  const by = $("who").value.trim();
  if (!by) { $("who").focus(); return toast("Enter your id first: it is kept with what you do."); }
  try {
    await post("api/actions", { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, action, bed_stream: alert.bed_stream, alert_id: alert.id, by, args });
    toast(action === "acknowledge" ? `Acknowledged: ${alert.title}, ${alert.bed_stream}` : `Bed ${alert.bed_stream} is quiet for ${SILENCE_S / 60} minutes. A new lethal alarm sounds.`);
  } catch (error) {
    toast(`Not done: ${error.message}`);
  }
}

let toastTimer = 0;
function toast(words) {
  $("toast").textContent = words;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, TOAST_MS);
}

async function toggleSound() {
  await sound.toggle();
  $("sound").setAttribute("aria-pressed", String(sound.on));
  $("sound").textContent = sound.on ? "Sound is on" : "Sound is off";
}

const KEYS = {
  j: () => step(1), k: () => step(-1), a: () => withSelected((x) => act("acknowledge", x, {})),
  s: () => withSelected((x) => act("silence", x, { seconds: SILENCE_S })), m: toggleSound, "?": () => $("help").showModal(), Escape: closeStrip,
};

function withSelected(what) {
  const alert = alerts.byId.get(alerts.selected);
  if (alert && alert.state !== "off") what(alert);
}

function step(by) {
  const { shown } = alerts;
  if (!shown.length) return;
  const at = shown.findIndex((a) => a.id === alerts.selected);
  const next = shown[Math.max(0, Math.min(shown.length - 1, at === -1 ? 0 : at + by))];
  alerts.selected = null;
  select(next, true);
  alerts.cards.get(next.id)?.card.querySelector(".head").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (/^[1-9]$/.test(event.key)) {
    withSelectedCitation(Number(event.key));
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

function withSelectedCitation(n) {
  const alert = alerts.byId.get(alerts.selected);
  const citation = alert?.citations.find((c) => c.n === n);
  if (citation) cite(alert, citation);
}

$("who").value = sessionStorage.getItem("who") ?? "";
$("who").addEventListener("input", () => sessionStorage.setItem("who", $("who").value.trim()));
$("sound").addEventListener("click", toggleSound);
$("help-open").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());
$("strip-close").addEventListener("click", () => { alerts.selected = null; closeStrip(); });
const tick = () => { $("clock").textContent = new Date().toLocaleTimeString([], { hour12: false }); };
setInterval(tick, 1000);
tick();
