// What is in the address? The place that is shown, so that it can be sent: #/stage/pivot-root?view=net&diff=caps&sel=veth,
// or #/live for where the build is.
const LIVE = null;

function read(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [word, id] = path.split("/");
  const asked = new URLSearchParams(query || "");
  let stage = LIVE;
  if (word === "stage") try { stage = decodeURIComponent(id || ""); } catch { stage = id; }
  return {
    stage,
    lost: path && word !== "stage" && word !== "live" ? path : undefined,
    view: asked.get("view"), diff: asked.get("diff"), sel: asked.get("sel"),
  };
}

function written(place) {
  const asked = new URLSearchParams();
  for (const name of ["view", "diff", "sel"]) if (place[name]) asked.set(name, place[name]);
  const query = asked.toString().replace(/%3A/g, ":").replace(/%2F/g, "/");
  return `#/${place.stage === LIVE ? "live" : `stage/${encodeURIComponent(place.stage)}`}${query && `?${query}`}`;
}

// The place with what this run does not have put right, and what was wrong with it.
function healed(place, run) {
  const whole = { ...place, lost: undefined };
  const wrong = [];
  if (place.lost) wrong.push(`there is no “${place.lost}” here`);
  for (const name of ["stage", "diff"]) {
    if (place[name] && !run.stages.some((stage) => stage.id === place[name])) {
      wrong.push(`this run has no stage “${place[name]}”`);
      whole[name] = null;
    }
  }
  if (!run.views.some((view) => view.id === place.view)) {
    if (place.view) wrong.push(`there is no drawing “${place.view}”`);
    whole.view = run.views[0]?.id;
  }
  // What was recorded is read from its start; who was there live stays where it ended.
  if (whole.stage === LIVE && !wasLive && (archive || run.over || builder === "recorded" || builder === "over")) whole.stage = run.stages[0]?.id ?? LIVE;
  return { whole, wrong };
}
