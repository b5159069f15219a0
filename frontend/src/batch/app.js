/**
 * The page for whole files: finds the API, chooses a model, and keeps the files that were put in.
 */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { connect, locate } from "../api.js";
import { useLoad } from "../hooks.js";
import { Chooser } from "../parts.js";
import { Failure } from "../result.js";
import { titleOf } from "../words.js";
import { Choose } from "./choose.js";
import { JobCard } from "./job.js";
import { createJobs } from "./jobs.js";
import { memory } from "./keep.js";
import { Needs } from "./needs.js";
import { rest, seen } from "./pause.js";
import { heading, spoken, titled } from "./words.js";

/** @typedef {import("./jobs.js").Job} Job */

const WAYS = { request: () => new XMLHttpRequest(), rest, seen };

/** The whole page. */
export function App() {
  const start = useLoad(async (signal) => {
    const address = await locate(document.baseURI, { signal });
    const api = connect(address);
    return { address, api, models: (await api.models(signal)).models };
  });
  const [asked, setAsked] = useModel();
  const models = start.value?.models ?? [];
  const name = (models.find((/** @type {any} */ each) => each.name === asked) ?? models[0])?.name ?? asked;
  const link = name ? `#${encodeURIComponent(name)}` : "";
  useEffect(() => {
    document.title = name ? `${heading(name)} · Perennial` : "Score a file · Perennial";
  }, [name]);
  return html`
    <header class="page masthead">
      <a class="brand" href="./index.html"><img src="./logo.svg" alt="" width="32" height="32" />Perennial</a>
      <nav aria-label="Pages">
        <a href=${`./index.html${link}`}>Ask for one record</a>
        <a href=${`./model.html${link}`}>How it is doing</a>
      </nav>
    </header>
    <main class="page">
      ${start.status === "loading" && html`<p class="loading" role="status"><span aria-busy="true">Loading…</span></p>`}
      ${
        start.status === "failed" &&
        html`<h1>Score a file</h1>
          <${Failure} error=${start.error} onRetry=${start.retry} />`
      }
      ${
        start.value &&
        models.length === 0 &&
        html`<h1>No model is serving yet</h1>
          <p>Files can be scored once a version of a model has passed its gate and was promoted.</p>
          <button type="button" class="quiet" onClick=${start.retry}>Look again</button>`
      }
      ${start.value && models.length > 0 && html`<${Desk} ...${start.value} name=${name} asked=${asked} onModel=${setAsked} />`}
    </main>
    <footer class="page"><p>Perennial keeps models in production fresh.</p></footer>
  `;
}

/** @param {{ api: import("../api.js").Api, address: string, models: any[], name: string, asked: string, onModel: (name: string) => void }} props */
function Desk({ api, address, models, name, asked, onModel }) {
  const [jobs, desk] = useJobs(api, address);
  const [known, setKnown] = useState({ name: "", input: /** @type {import("./words.js").Input} */ (null) });
  const input = known.name === name ? known.input : null;
  const focus = useFocus();
  return html`
    ${
      models.length > 1 &&
      html`<${Chooser}
        id="model"
        label="Model"
        value=${name}
        options=${models.map((each) => ({ value: each.name, text: titleOf(each.name) }))}
        onChange=${onModel}
      />`
    }
    ${
      asked &&
      asked !== name &&
      html`<p class="changed" role="status">No model called “${asked}” is serving. This is ${titleOf(name)}.</p>`
    }
    <hgroup>
      <h1>${heading(name)}</h1>
      <p>
        ${
          input === "image"
            ? "Put pictures in, and get a table of what the model says of each of them."
            : "Put a file in, and get it back with what the model says of each of its rows."
        }
      </p>
    </hgroup>
    <div class="bench">
      <section class="card" aria-labelledby="form-title">
        <h2 id="form-title">File</h2>
        <${Choose} input=${input} onScore=${(/** @type {File[]} */ files, /** @type {any} */ options) => focus(`${desk.add(name, files, options)}-title`)} />
      </section>
      <div class="side"><${Needs} key=${name} api=${api} name=${name} onKnown=${(/** @type {any} */ input) => setKnown({ name, input })} /></div>
    </div>
    ${
      jobs.length > 0 &&
      html`<section class="jobs" aria-labelledby="jobs-title">
        <h2 id="jobs-title">Your files</h2>
        <p class="help">This tab alone finds them again. Closing it forgets them, and stops none that has been sent.</p>
        ${jobs.map(
          (job, index) =>
            html`<${JobCard}
              key=${job.key}
              job=${job}
              title=${titled(jobs, index)}
              desk=${desk}
              now=${Date.now}
              onRemove=${() => {
                const next = jobs[index + 1] ?? jobs[index - 1];
                desk.remove(job.key);
                focus(next ? `${next.key}-title` : "files");
              }}
            />`,
        )}
      </section>`
    }
    <${News} jobs=${jobs} />
  `;
}

/** Says aloud what became of a file, one piece of news at a time. @param {{ jobs: Job[] }} props */
function News({ jobs }) {
  const before = useRef(/** @type {Map<string, string> | null} */ (null));
  const [news, setNews] = useState("");
  useEffect(() => {
    const now = new Map(jobs.map((job) => [job.key, spoken(job)]));
    const changed = [...now].filter(([key, words]) => words && before.current?.get(key) !== words);
    if (before.current && changed.length > 0) setNews(changed.map(([, words]) => words).join(" "));
    before.current = now;
  }, [jobs]);
  return html`<p class="visually-hidden" role="status">${news}</p>`;
}

/** @returns {[Job[], import("./jobs.js").Jobs]} */
function useJobs(/** @type {import("../api.js").Api} */ api, /** @type {string} */ address) {
  const [jobs, setJobs] = useState(/** @type {Job[]} */ ([]));
  const desk = useMemo(() => {
    const kept = memory(() => sessionStorage, address);
    return createJobs({ api, kept, ways: WAYS, now: Date.now, onChange: setJobs });
  }, [api]);
  useEffect(() => {
    desk.start();
    return desk.stop;
  }, [desk]);
  const isSending = jobs.some(({ stage }) => stage.at === "sending" || stage.at === "queued");
  useLayoutEffect(() => {
    if (!isSending) return;
    const warn = (/** @type {Event} */ event) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isSending]);
  return [jobs, desk];
}

/** Moves the focus to an element, by its id, once it has been drawn. */
function useFocus() {
  const [target, setTarget] = useState({ id: "" });
  useLayoutEffect(() => {
    if (target.id) document.getElementById(target.id)?.focus();
  }, [target]);
  return (/** @type {string} */ id) => setTarget({ id });
}

/** Which model the address asks for (`?model=`), and how to ask for another. */
function useModel() {
  const read = () => new URLSearchParams(location.search).get("model") ?? "";
  const [model, setModel] = useState(read);
  useEffect(() => {
    const follow = () => setModel(read());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const ask = (/** @type {string} */ name) => {
    history.pushState(null, "", `?model=${encodeURIComponent(name)}`);
    setModel(name);
  };
  return /** @type {const} */ ([model, ask]);
}
