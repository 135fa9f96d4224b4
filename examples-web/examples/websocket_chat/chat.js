// The page of the chat: one WebSocket, which connects again by itself when it is lost.

const $ = (id) => document.getElementById(id);

// The time before the next attempt to connect doubles with each failure, up to five seconds.
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5000;

let socket;
let delay = FIRST_DELAY_MS;
let name = null; // the name under which this page has joined, to join again after a reconnect

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/socket`);
  socket.onopen = () => {
    delay = FIRST_DELAY_MS;
    show_state(true);
    if (name !== null) send({ type: "join", name });
  };
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = () => {
    show_state(false);
    setTimeout(connect, delay);
    delay = Math.min(2 * delay, LONGEST_DELAY_MS);
  };
}

function send(message) {
  socket.send(JSON.stringify(message));
}

function receive(news) {
  switch (news.type) {
    case "welcome":
      name = news.name;
      $("refusal").textContent = "";
      $("join").hidden = true;
      $("say").hidden = false;
      $("text").focus();
      break;
    case "refused":
      name = null;
      $("refusal").textContent = news.reason;
      $("join").hidden = false;
      $("say").hidden = true;
      break;
    case "people":
      $("people").replaceChildren(...news.names.map((person) => element("li", person)));
      break;
    case "said": {
      const line = element("li");
      line.classList.toggle("mine", news.name === name);
      line.append(element("b", news.name), news.text);
      $("messages").append(line);
      line.scrollIntoView();
      break;
    }
  }
}

// Text goes into the page as text, and never as HTML.
function element(tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function show_state(online) {
  $("state").textContent = online ? "connected" : "connecting…";
  $("state").classList.toggle("online", online);
  for (const button of document.querySelectorAll("button")) button.disabled = !online;
}

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState === WebSocket.OPEN) send({ type: "join", name: $("name").value });
});

// Text that is typed while the connection is lost stays in the field.
$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  send({ type: "say", text: $("text").value });
  $("text").value = "";
});

show_state(false);
connect();
