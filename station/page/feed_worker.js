// A shared worker: one connection to the server for all tabs of a browser. A browser opens six connections to a server
// at most; without this the seventh tab would get nothing.

import { FeedConnection } from "./feed_connection.js";

// a tab that has not answered for this long is gone; tabs in the background answer each minute
const FORGET_MS = 180000;
const ports = new Map(); // port → time of its last message
let connection = null;

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => receive(port, data);
  port.start();
};

function receive(port, message) {
  const known = ports.has(port);
  ports.set(port, performance.now());
  if (message.kind === "bye") {
    ports.delete(port);
  } else if (!known && connection) {
    port.postMessage({ kind: "joined" }); // the snapshot came before this tab: it fetches its own
  }
  connection ??= new FeedConnection(message.url, message.after, broadcast);
}

function broadcast(kind, data, id) {
  const now = performance.now();
  for (const [port, answeredAt] of ports) {
    if (now - answeredAt > FORGET_MS) ports.delete(port);
    else port.postMessage({ kind, data, id });
  }
}
