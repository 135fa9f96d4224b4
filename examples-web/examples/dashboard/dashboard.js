// The page of the dashboard: numbers from a stream of events, and a chart of the last minute.

const $ = (id) => document.getElementById(id);

const SAMPLES = 240; // four a second
const LINES = [
  { name: "polls", color: "#2456a6" },
  { name: "tasks", color: "#d07a1f" },
];

const samples = [];

// When the server is away, the browser tries again by itself.
const events = new EventSource("numbers");
events.onopen = () => show_state(true);
events.onerror = () => show_state(false);
events.onmessage = (event) => {
  const sample = JSON.parse(event.data);
  for (const [name, value] of Object.entries(sample)) {
    $(name).textContent = typeof value === "number" ? Math.round(value).toLocaleString("en") : value;
  }
  samples.push(sample);
  if (samples.length > SAMPLES) samples.shift();
  draw();
};

function show_state(online) {
  $("state").textContent = online ? "live" : "connecting…";
  $("state").classList.toggle("online", online);
  $("load").disabled = !online;
}

$("load").addEventListener("click", () => fetch("load", { method: "POST" }).catch(() => show_state(false)));

function draw() {
  const canvas = $("chart");
  const scale = window.devicePixelRatio;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  // Setting its size clears the canvas.
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);

  context.strokeStyle = "#e3e7ee";
  for (let part = 0; part <= 4; part += 1) {
    const y = 1 + ((height - 2) * part) / 4;
    line(context, [[0, y], [width, y]]);
  }
  LINES.forEach(({ name, color }, index) => {
    const most = Math.max(1, ...samples.map((sample) => sample[name]));
    context.strokeStyle = color;
    context.fillStyle = color;
    context.lineWidth = 2;
    line(context, samples.map((sample, at) => [
      width - ((samples.length - 1 - at) * width) / (SAMPLES - 1),
      height - 2 - (sample[name] / most) * (height - 24),
    ]));
    context.font = "12px system-ui, sans-serif";
    context.fillText(`${name}: up to ${Math.round(most).toLocaleString("en")}`, 6 + 180 * index, 14);
  });
}

function line(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}

window.addEventListener("resize", draw);
show_state(false);
