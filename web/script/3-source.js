// Where does a piece come from? From the file itself if it is an exported one, else from the server, with the token.
let archive = $("pieces") && JSON.parse($("pieces").textContent);
const answered = new Map();

function token() {
  return archive ? "none is needed" : sessionStorage.getItem("token");
}

// The token comes in the address, once; it stays with this tab and goes from where it could be seen.
function takeToken() {
  const found = /^#token=([\w-]+)$/.exec(location.hash);
  if (!found || archive) return;
  sessionStorage.setItem("token", found[1]);
  history.replaceState(null, "", "#/live");
}

function ask(path, more) {
  const headers = { Authorization: `Bearer ${token()}`, ...more?.headers };
  return fetch(`/api/${path}`, { cache: "no-store", ...more, headers });
}

// What is known of a piece: {version, text, node}. An archive knows all.
function known(path) {
  if (archive && !answered.has(path)) {
    const runs = archive.pieces[path];
    const lines = [];
    for (let at = 0; at < runs?.length; at += 2) lines.push(...archive.lines.slice(runs[at], runs[at] + runs[at + 1]));
    answered.set(path, { version: Infinity, text: runs ? lines.join("\n") : null });
  }
  return answered.get(path);
}

// The piece as it is in this version of the run; several that ask at once are told together.
const asked = new Map();
function learn(path, version) {
  const had = known(path);
  if (had && had.version >= version) return Promise.resolve(had);
  if (asked.has(path)) return asked.get(path);
  const answer = ask(path).then(async (response) => {
    if (response.status === 401) lock("wrong");
    const text = response.ok ? await response.text() : null;
    const piece = had && had.text === text ? Object.assign(had, { version }) : { version, text };
    if (response.ok || response.status === 404) answered.set(path, piece);
    return piece;
  }).finally(() => asked.delete(path));
  asked.set(path, answer);
  return answer;
}
