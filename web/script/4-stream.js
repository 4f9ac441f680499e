// How does the page hear that the build goes on? One tab of a browser reads the stream, and tells the others.
const STALE = 5000;
const tabs = "BroadcastChannel" in window && !archive ? new BroadcastChannel("learnctr") : null;
let heard = 0;
let event = ""; // the last one's id
let builder = ""; // busy, waiting (for a command), held (by the terminal), recorded (there is none) or over (it ends now)
let wasLive = !archive && sessionStorage.getItem("live") !== null; // by this tab, also before it was loaded anew
let last = null;
let leading = false;

function hear(news) {
  if (news.all) return keep(news.all);
  heard = performance.now();
  if (news.state) builder = news.state;
  if (!wasLive && ["busy", "waiting", "held"].includes(builder)) sessionStorage.setItem("live", wasLive = true);
  if (news.data) {
    newRun(JSON.parse(news.data));
    last = { ...news, state: builder };
  }
  showState();
}

// learnctr ends: the whole run is taken while it can be had, and shown from now on as an exported file shows it.
async function take() {
  const answer = await ask("all");
  if (!answer.ok) return;
  const all = await answer.text();
  tabs?.postMessage({ all });
  keep(all);
}

function keep(all) {
  archive = JSON.parse(all);
  answered.clear();
  newRun(JSON.parse(known("run").text));
  $("self").textContent = "learnctr has ended. This tab has the whole run until it is closed or loaded anew. To have a page of it that stays: step --web --trace FILE, then learnctr export FILE -o replay.html.";
  say("The run has ended, and learnctr with it: all of it stays in this tab until it is closed or loaded anew.", true);
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
      const news = {};
      for (const line of one.split("\n")) {
        if (line.startsWith("data:")) news.data = line.slice(5);
        if (line.startsWith("event:")) news.state = line.slice(6).trim();
        if (line.startsWith("id:")) event = line.slice(3).trim();
      }
      hear(news);
      tabs?.postMessage(news);
    }
    // Closed only then: it is what learnctr waits for.
    if (builder === "over") { await take().catch(() => {}); return reader.cancel(); }
  }
}

async function lead() {
  leading = true;
  for (let wait = 250; !archive && token(); wait = Math.min(wait * 2, 4000)) {
    const began = performance.now();
    try { await listen(); } catch { /* it is tried again, and showState says that nothing is heard */ }
    if (performance.now() - began > 10000) wait = 250;
    await new Promise((done) => setTimeout(done, wait));
  }
}

function follow() {
  if (tabs) {
    tabs.onmessage = ({ data }) => {
      if (data !== "new") hear(data);
      else if (leading && last) tabs.postMessage(last);
    };
    tabs.postMessage("new");
  }
  // Who holds the lock reads; the browser gives it to the next tab when this one is closed.
  if (navigator.locks && tabs) navigator.locks.request("learnctr-stream", lead);
  else lead();
  setInterval(showState, 1000);
}
