// One alert on one page of paper: strip, measured values, text, audit. The browser prints it, or saves it as PDF.

import { byId, element } from "./element.js";
import { getJson } from "./http.js";
import { acknowledgedLabel, dateTime, interpretationLabel, stateLabel, verificationMark } from "./labels.js";
import { citationLabel, limitWords } from "./measures.js";
import { PRIORITY_LABELS } from "./priority.js";
import { fetchStrip } from "./strip.js";
import { LIGHT, paintScene } from "./strip_paint.js";
import { makeScene } from "./strip_scene.js";

const PX_PER_MM = 5;
const MAX_LINES = 12; // of measurements, and of the audit: one page holds them

const id = new URLSearchParams(window.location.search).get("id") ?? "";

async function load() {
  const alert = await getJson(`api/alerts/${encodeURIComponent(id)}`);
  const { versions, changes } = await getJson(`api/alerts/${encodeURIComponent(id)}/versions`);
  const strip = alert.segment ? await fetchStrip(alert.id).catch(() => null) : null;
  const image = strip ? await picture(alert, strip) : element("p", { class: "quiet" }, "The strip is not available.");
  byId("report").replaceChildren(head(alert), image, ...body(alert, versions, changes));
  document.title = `${alert.title} ${alert.bed_stream} ${dateTime(alert.onset)}`;
  document.body.dataset.ready = "true";
}

async function picture(alert, strip) {
  const canvas = document.createElement("canvas");
  const scene = makeScene(alert, strip, "page", alert.citations[0]?.leads ?? []);
  const shown = { ...scene, heightMm: Math.min(scene.heightMm, 130) };
  [canvas.width, canvas.height] = [shown.widthMm * PX_PER_MM, shown.heightMm * PX_PER_MM];
  const marked = alert.citations.slice(0, 1);
  paintScene(canvas.getContext("2d"), shown, { pxPerMm: PX_PER_MM, colours: LIGHT, marked, hovered: null });
  const image = element("img", {
    src: canvas.toDataURL("image/png"),
    alt: `ECG strip of ${alert.title}, ${alert.bed_stream}`,
  });
  await image.decode();
  return image;
}

function head(alert) {
  return element(
    "div",
    { class: "where" },
    element(
      "div",
      {},
      element("h1", {}, alert.title),
      element("p", {}, `${PRIORITY_LABELS[alert.priority]} priority · ${stateLabel(alert)}`),
    ),
    element(
      "div",
      {},
      element("h1", {}, `${alert.unit} · ${alert.bed}`),
      element("p", {}, `patient ${alert.patient || "unknown"} · ${dateTime(alert.onset)}`),
    ),
  );
}

function body(alert, versions, changes) {
  const { interpretation } = alert;
  const mark = verificationMark(interpretation);
  return [
    element("h2", {}, "Interpretation"),
    element("p", {}, interpretation?.text ?? "None."),
    interpretation
      ? element("p", { class: "quiet" }, [interpretationLabel(interpretation), mark?.words].filter(Boolean).join(" · "))
      : null,
    element("h2", {}, "Measurements"),
    measurements(alert),
    element(
      "div",
      { class: "two" },
      element("div", {}, element("h2", {}, "Versions of the alert"), audit(versions)),
      element("div", {}, element("h2", {}, "Actions on the bed"), actions(alert, changes)),
    ),
    element("h2", {}, "Origin"),
    origin(alert),
    element(
      "footer",
      {},
      `Printed ${dateTime(new Date().toISOString())}. An interpretation does not replace the review of the ECG.`,
    ),
  ].filter(Boolean);
}

function measurements(alert) {
  const shown = alert.citations.slice(0, MAX_LINES);
  return element(
    "table",
    {},
    element(
      "tbody",
      {},
      ...shown.map((citation) =>
        element(
          "tr",
          {},
          element("td", {}, `[${citation.n}]`),
          element("td", {}, citationLabel(citation, alert.kind === "technical")),
          element("td", {}, citation.criterion?.rule ?? ""),
          element("td", {}, limitWords(alert, citation)),
        ),
      ),
    ),
  );
}

function audit(versions) {
  return element(
    "table",
    {},
    element(
      "tbody",
      {},
      ...versions
        .slice(-MAX_LINES)
        .map((version) =>
          element(
            "tr",
            {},
            element("td", {}, String(version.version)),
            element("td", {}, dateTime(version.published)),
            element("td", {}, [version.state, acknowledgedLabel(version)].filter(Boolean).join(", ")),
          ),
        ),
    ),
  );
}

function actions(alert, changes) {
  const since = changes.filter((change) => change.at >= alert.onset).slice(-MAX_LINES);
  if (!since.length) return element("p", { class: "quiet" }, "None since the onset.");
  return element(
    "table",
    {},
    element(
      "tbody",
      {},
      ...since.map(({ what, at, by }) =>
        element("tr", {}, element("td", {}, dateTime(at)), element("td", {}, by), element("td", {}, what)),
      ),
    ),
  );
}

function origin(alert) {
  const { monitor, encoder } = alert.provenance ?? {};
  const { model } = alert.interpretation ?? {};
  const parts = [
    `monitor ${monitor ?? "unknown"}`,
    encoder && `encoder ${encoder.name} ${encoder.weights}`,
    model && `model ${model.name} ${model.weights} ${model.precision} ${model.device}`,
    `alert ${alert.id} version ${alert.version}`,
  ];
  return element("p", { class: "origin" }, parts.filter(Boolean).join(" · "));
}

byId("print").addEventListener("click", () => window.print());
load().catch((error) => {
  byId("state").textContent = `Not available: ${error.message}`;
});
