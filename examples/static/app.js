// Nothing here is needed: the pages work without it.

// Show times in the reader's own zone, and how far away they are.
const distance = new Intl.RelativeTimeFormat("en", { numeric: "always" });

function tick() {
  for (const time of document.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    const seconds = Math.round((moment - Date.now()) / 1000);
    const away =
      Math.abs(seconds) < 120
        ? distance.format(seconds, "second")
        : distance.format(Math.round(seconds / 60), "minute");
    time.textContent = `${moment.toLocaleTimeString()} (${away})`;
  }
}

tick();
setInterval(tick, 1000);

// The back button may show a page as it was left, whatever its Cache-Control says. After a
// logout nobody should see it: ask the server again.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  document.body.hidden = true;
  location.reload();
});

// Ask the websocket who we are.
const form = document.querySelector("[data-websocket]");
if (form) {
  const answer = document.querySelector("[data-answer]");
  const socket = new WebSocket(form.dataset.websocket); // the cookie goes along by itself
  socket.addEventListener("open", () => (answer.textContent = "Connected."));
  socket.addEventListener("close", (event) => {
    answer.textContent =
      event.code === 1008
        ? "Your session has ended, so the server closed this websocket."
        : "The connection is closed; reload to open another one.";
  });
  socket.addEventListener("message", (event) => {
    const { username, text } = JSON.parse(event.data);
    answer.textContent = `You are ${username}, and you said: ${text}`;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = form.elements.text.value;
    if (socket.readyState === WebSocket.OPEN) socket.send(text);
    // Whoever is quick need not ask twice.
    if (socket.readyState === WebSocket.CONNECTING) {
      socket.addEventListener("open", () => socket.send(text), { once: true });
    }
  });
}
