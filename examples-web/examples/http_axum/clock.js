// Shows the events of the server. The browser connects again by itself.
const clock = new EventSource("clock");
clock.addEventListener("tick", (event) => {
  document.querySelector("output").value = `${event.data} s`;
});
