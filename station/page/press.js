// Whether a pointer is down on the page: nothing moves between a press and its click.

let pressed = false;
const lifted = [];

export const isPressed = () => pressed;

// handler: called after the click of a press
export function onLift(handler) {
  lifted.push(handler);
}

window.addEventListener("pointerdown", () => { pressed = true; }, { capture: true });
for (const kind of ["pointerup", "pointercancel"]) {
  window.addEventListener(kind, () => setTimeout(() => {
    pressed = false;
    lifted.forEach((handler) => handler());
  }), { capture: true });
}
