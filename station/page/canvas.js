// A canvas at the resolution of the screen.

// Width and height are in CSS pixels. resized: the canvas had another size, and is empty now.
export function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [deviceWidth, deviceHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  const resized = canvas.width !== deviceWidth || canvas.height !== deviceHeight;
  if (resized) {
    canvas.width = deviceWidth;
    canvas.height = deviceHeight;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, resized };
}
