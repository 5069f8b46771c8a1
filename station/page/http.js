// JSON over HTTP with the station's server; a rejected request throws the server's own reason.

const ANSWER_MS = 8000; // without it a server that hangs keeps a button waiting for ever

export async function getJson(path) {
  return received(await fetch(path, { signal: AbortSignal.timeout(ANSWER_MS) }));
}

export async function postJson(path, body) {
  const headers = { "Content-Type": "application/json", "X-Station": "1" }; // a page of another origin cannot set it
  const signal = AbortSignal.timeout(ANSWER_MS);
  return received(await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

async function received(response) {
  if (response.ok) return response.json();
  const answer = await response.json().catch(() => ({}));
  const error = new Error(answer.error ?? `status ${response.status}`);
  error.answer = answer;
  throw error;
}
