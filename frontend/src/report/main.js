/**
 * A report of a monitoring pass in a sandbox: its script may run, and reach nothing of this site.
 */
import { html, render } from "htm/preact";
import { useEffect, useState } from "preact/hooks";

import { titleOf } from "../words.js";
import { reportOf } from "./path.js";

function App() {
  const [hash, setHash] = useState(() => location.hash.slice(1));
  useEffect(() => {
    const follow = () => setHash(location.hash.slice(1));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const report = reportOf(hash, document.baseURI);
  useEffect(() => {
    document.title = `${report ? `${titleOf(report.name)} of ${titleOf(report.model)}` : "No report"} · Perennial`;
  }, [hash]);
  const back = report ? `./model.html#${report.model}` : "./model.html";
  return html`
    <header class="page masthead">
      <a class="brand" href="./index.html"><img src="./logo.svg" alt="" width="32" height="32" />Perennial</a>
      <nav aria-label="Pages"><a href=${back}>${report ? `Back to ${titleOf(report.model)}` : "Models"}</a></nav>
    </header>
    <main class="page wide">
      <h1>${report ? `${titleOf(report.name)} of ${titleOf(report.model)}` : "No report"}</h1>
      ${
        report
          ? html`<p class="muted">Pass <code>${report.run}</code>. The report runs in a sandbox.</p>
              <iframe
                key=${report.url}
                class="sandbox"
                title=${`Report ${report.name} of pass ${report.run}`}
                sandbox="allow-scripts"
                referrerpolicy="no-referrer"
                src=${report.url}
              ></iframe>`
          : html`<div class="failure" role="alert">
              <p>This address names no report of this site, so nothing was opened.</p>
            </div>`
      }
    </main>
  `;
}

render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
