// How does one go back and forth? Over all stages, each as high as what it changed, also while the build waits further on.
const scrubber = { playing: null };
const go = (number, how) => {
  const stage = run?.stages[Math.min(Math.max(number, 0), run.stages.length - 1)];
  if (stage) visit({ ...place, stage: stage.id }, how);
};

function buildBars() {
  $("bars").replaceChildren(...run.stages.map((stage) => make("span", { title: stage.title }, make("i", {}), make("b", {}, stage.id))));
  $("at").max = run.stages.length - 1;
}

function paintBars() {
  const most = Math.max(1, ...run.stages.map((stage) => stage.changes));
  [...$("bars").children].forEach((bar, number) => {
    const stage = run.stages[number];
    // A root of it: a stage that changes one thing is seen beside one that changes fifty.
    bar.firstChild.style.height = `${stage.changes ? 6 + 76 * Math.sqrt(stage.changes / most) : 0}%`;
    bar.dataset.changes = stage.changes || "";
    bar.className = [stage.state, number === here && "here", stage.id === place.diff && "base", isLive() && run.current === number && "paused"].filter(Boolean).join(" ");
  });
  const at = $("at");
  at.value = here;
  at.setAttribute("aria-valuetext", `${stageId()}, ${here + 1} of ${run.stages.length}, ${run.stages[here]?.state}`);
  $("back").disabled = here === 0;
  $("forth").disabled = here >= run.stages.length - 1;
}

function play(on) {
  clearInterval(scrubber.playing);
  scrubber.playing = null;
  const played = (number) => run.stages[number] && run.stages[number].state !== "waiting";
  if (on && run) {
    if (!played(here + 1)) go(0);
    scrubber.playing = setInterval(() => {
      if (played(here + 1)) go(here + 1, { replace: true });
      if (!played(here + 1)) play(false);
    }, 1600);
  }
  const button = $("play");
  button.setAttribute("aria-pressed", !!scrubber.playing);
}

function watchScrubber() {
  $("back").onclick = () => go(here - 1);
  $("forth").onclick = () => go(here + 1);
  $("play").onclick = () => play(!scrubber.playing);
  $("at").oninput = () => go(Number($("at").value), { replace: true });
  const bars = $("bars");
  const under = (event) => Math.floor((event.clientX - bars.getBoundingClientRect().left) / bars.clientWidth * run.stages.length);
  const drag = (event) => { if (run && event.buttons === 1 && under(event) !== here) go(under(event), { replace: event.type === "pointermove" }); };
  bars.addEventListener("pointerdown", (event) => { bars.setPointerCapture(event.pointerId); drag(event); });
  bars.addEventListener("pointermove", drag);
}
