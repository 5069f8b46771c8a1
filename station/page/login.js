// Who is at this page: the person who logged in, or nobody, where an ID is typed. A station that wants a token asks.

import { byId } from "./element.js";
import { getJson, postJson } from "./http.js";

// What the person may do in a unit; without a login everybody may do what a nurse may.
const RANKS = ["viewer", "nurse", "admin"];
const EVERY = "*";
let roles = { [EVERY]: "nurse" };

export function may(role, unit) {
  const held = [roles[unit], roles[EVERY]].map((name) => RANKS.indexOf(name));
  return Math.max(...held) >= RANKS.indexOf(role);
}

// Resolves to the person's name, or null where nobody logs in. A page without a login waits for it.
export async function loggedIn() {
  const { auth, user, roles: held } = await getJson("api/login");
  if (auth === "token" && !user) {
    askForToken();
    return null;
  }
  roles = held ?? roles;
  if (auth === "token") {
    byId("logout").hidden = false;
    byId("logout").addEventListener("click", async () => {
      await postJson("api/logout", {});
      window.location.reload();
    });
  }
  return user;
}

function askForToken() {
  byId("login").showModal();
  byId("login").addEventListener("cancel", (event) => event.preventDefault()); // nothing is behind it
  byId("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await postJson("api/login", { token: byId("login-token").value.trim() });
      window.location.reload();
    } catch (error) {
      byId("login-words").textContent = `Not logged in: ${error.message}`;
    }
  });
}
