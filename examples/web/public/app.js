const version = document.querySelector("meta[name=app-version]").content;
const seen = { same: 0, other: 0, failed: 0 };

/** Names the version that this page was built for, so that an edge can send the call to it. */
async function ask() {
  try {
    const response = await fetch("/api/quote", { headers: { "x-app-version": version } });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const answer = await response.json();
    show({ quote: answer.quote, answered: answer.version, worker: answer.worker, pid: answer.pid });
    seen[answer.version === version ? "same" : "other"]++;
  } catch (error) {
    seen.failed++;
    show({ quote: error.message });
  }
  show(seen);
  document.body.classList.toggle("mixed", seen.other > 0);
}

function show(texts) {
  for (const [id, text] of Object.entries(texts)) document.getElementById(id).textContent = text;
}

ask();
setInterval(ask, 1000);
