import { versionClient } from "./version-client.js?v={{path}}";

const version = document.querySelector("meta[name=app-version]").content;
const seen = { same: 0, other: 0, failed: 0 };
const call = versionClient({ version, notify });

async function ask() {
  try {
    const response = await call("/api/quote");
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

/** The page did not reload by itself. */
function notify(answered) {
  show({ newer: answered });
  document.getElementById("notice").hidden = false;
}

document.getElementById("reload").addEventListener("click", () => location.reload());
ask();
setInterval(ask, 1000);
