// JSON over HTTP with the station's server; a rejected request throws the server's own reason.

export async function getJson(path) {
  return received(await fetch(path));
}

export async function postJson(path, body) {
  const headers = { "Content-Type": "application/json", "X-Station": "1" }; // a page of another origin cannot set it
  return received(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function received(response) {
  if (response.ok) return response.json();
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? `status ${response.status}`);
}
