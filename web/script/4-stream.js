// How does the page hear that the build goes on? One tab of a browser reads the stream, and tells the others.
const STALE = 5000;
const tabs = "BroadcastChannel" in window && !archive ? new BroadcastChannel("learnctr") : null;
let heard = 0;
let event = "";

function hear(data) {
  heard = performance.now();
  if (data) newRun(JSON.parse(data));
  showState();
}

// A stream of server-sent events, read by hand: only so can the token be in a header.
async function listen() {
  const response = await ask("stream", { headers: event ? { "Last-Event-ID": event } : {} });
  if (response.status === 401) return lock("wrong");
  if (!response.ok) throw new Error(response.statusText);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const one of events) {
      let data = "";
      for (const line of one.split("\n")) {
        if (line.startsWith("data:")) data += line.slice(5).trim();
        if (line.startsWith("id:")) event = line.slice(3).trim();
      }
      hear(data);
      tabs?.postMessage(data);
    }
  }
}

async function lead() {
  for (let wait = 250; token(); wait = Math.min(wait * 2, 4000)) {
    const began = performance.now();
    try { await listen(); } catch { /* it is tried again, and showState says that nothing is heard */ }
    if (performance.now() - began > 10000) wait = 250;
    await new Promise((done) => setTimeout(done, wait));
  }
}

function follow() {
  if (tabs) tabs.onmessage = (message) => hear(message.data);
  // Who holds the lock reads; the browser gives it to the next tab when this one is closed.
  if (navigator.locks && tabs) navigator.locks.request("learnctr-stream", lead);
  else lead();
  setInterval(showState, 1000);
}
