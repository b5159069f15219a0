/**
 * Champion and challenger side by side: metrics, the gain on the same rows, the gate's rules, charts and groups.
 */
import { html } from "htm/preact";

import { Badge, Chooser, Table } from "../parts.js";
import { count, figure, metricName, moment, sentence } from "../words.js";
import { union } from "./columns.js";
import { Evaluations } from "./evaluation.js";
import { Prose, Section } from "./parts.js";
import { chance, choice, interval, number, short, statusWord } from "./text.js";

/**
 * @typedef {import("./types.js").PageData} PageData
 * @typedef {import("./types.js").Version} Version
 */

/** @param {{ page: PageData, chosen: string, onChoose: (version: string) => void }} props */
export function Duel({ page, chosen, onChoose }) {
  const challenger = page.versions.find((each) => each.version === chosen);
  if (!challenger) {
    return html`<${Section} id="compare" title="Champion and challenger"
      ><p class="muted">There is no version yet.</p><//
    >`;
  }
  const against = challenger.decision?.champion ?? (challenger.version === page.champion ? null : page.champion);
  const champion = page.versions.find((each) => each.version === against);
  const pair = champion && champion !== challenger ? [champion, challenger] : [challenger];
  return html`
    <${Section} id="compare" title="Champion and challenger">
      <${Chooser}
        id="challenger"
        label="Version"
        value=${challenger.version}
        options=${page.versions.map((each) => ({ value: each.version, text: choice(each, moment) }))}
        onChange=${onChoose}
      />
      <p>${who(page, challenger, champion)}</p>
      ${challenger.because && html`<p class="muted">Trained because: <${Prose} text=${sentence(challenger.because)} /></p>`}
      <${Metrics} page=${page} pair=${pair} />
      <${Paired} page=${page} challenger=${challenger} />
      <${Rules} challenger=${challenger} />
      <${Evaluations} key=${pair.map((each) => each.version).join()} page=${page} pair=${pair} />
    <//>
  `;
}

function who(
  /** @type {PageData} */ page,
  /** @type {Version} */ challenger,
  /** @type {Version | undefined} */ champion,
) {
  const self = html`<code>${short(challenger.version)}</code> (${`${challenger.candidate}, ${statusWord(challenger.status)}`})`;
  if (champion && champion !== challenger) {
    const then = champion.version === page.champion ? "the champion" : "the champion of its day,";
    return html`${self} against ${then} <code>${short(champion.version)}</code> (${champion.candidate}).`;
  }
  return html`${self}; there was no champion to compare it with.`;
}

/** What to call each of the two. @param {Version[]} pair */
export function columnNames(pair) {
  return pair.length === 2
    ? [`Champion ${short(pair[0].version)}`, `Challenger ${short(pair[1].version)}`]
    : [`Version ${short(pair[0].version)}`];
}

/** @param {{ page: PageData, pair: Version[] }} props */
function Metrics({ page, pair }) {
  const names = union(page.metric ? [page.metric] : [], ...pair.map((each) => Object.keys(each.metrics)));
  return html`
    <${Table}
      caption="Each on its own holdout, with the 95 % interval"
      head=${["Metric", ...columnNames(pair)]}
      rows=${[
        ...names.map((name) => [
          name === page.metric ? `${metricName(name)} (decides)` : metricName(name),
          ...pair.map((each) => interval(each.metrics[name], name)),
        ]),
        ["In cross-validation", ...pair.map((each) => interval(each.cross_validation, page.metric ?? ""))],
        ["Holdout rows", ...pair.map((each) => number(each.holdout_rows))],
      ]}
    />
  `;
}

/** The gain on the very same rows. @param {{ page: PageData, challenger: Version }} props */
function Paired({ page, challenger }) {
  const compared = challenger.decision?.compared;
  if (!compared) return null;
  const found = /** @type {[string, import("./types.js").Comparison | null, string][]} */ ([
    ["Holdout", compared.holdout, compared.why],
    ["Newest rows", compared.window, compared.window_why],
  ]);
  const measured = found.filter(([, each]) => each !== null);
  const missing = found.filter(([, each, why]) => each === null && why);
  const metric = page.metric ?? "";
  return html`
    ${
      measured.length > 0 &&
      html`<${Table}
        caption=${`${metricName(metric)} of both on the very same rows, which neither has learnt from; a gain above 0 is for the challenger`}
        head=${["Rows", "How many", "Champion", "Challenger", "Gain", "95 % interval", "p-value", "McNemar", "Labels"]}
        rows=${measured.map(([name, each]) => [
          name,
          number(each?.rows),
          number(each?.champion[metric]),
          number(each?.challenger[metric]),
          number(each?.gain),
          each?.low === null ? "–" : `${number(each?.low)} to ${number(each?.high)}`,
          chance(each?.p_value ?? null),
          chance(each?.mcnemar ?? null),
          each?.trusted ? "trusted" : "some by feedback",
        ])}
      />`
    }
    ${missing.map(([name, , why]) => html`<p key=${name} class="muted">${name}: not compared, <${Prose} text=${sentence(why)} /></p>`)}
    ${compared.untrusted && html`<p class="changed">It learnt from feedback that the champion did not, so it had to be significantly better.</p>`}
  `;
}

/** @param {{ challenger: Version }} props */
function Rules({ challenger }) {
  const { decision } = challenger;
  if (!decision) return html`<p class="muted">The gate's answer on this version is not known.</p>`;
  const failed = decision.rules.filter((each) => !each.passed).length;
  return html`
    <h3>The gate</h3>
    <p>
      <${Badge} state=${decision.passed ? "ok" : "bad"}>${decision.passed ? "passed" : "failed"}<//>${" "}
      ${decision.passed ? `${decision.rules.length === 1 ? "Its one rule" : `All ${figure(decision.rules.length)} rules`} passed.` : `${figure(failed)} of ${count(decision.rules.length, "rule")} failed.`}
      ${challenger.answered_by && html` Answered by ${challenger.answered_by}.`}
    </p>
    <${Table}
      caption="The gate's rules"
      numeric=${false}
      head=${["Rule", "Answer", "Measured", "Bound", "Why"]}
      rows=${decision.rules.map((each) => [
        html`<code>${each.rule}</code>`,
        html`<${Badge} state=${each.passed ? "ok" : "bad"}>${each.passed ? "pass" : "fail"}<//>`,
        number(each.value),
        number(each.bound),
        html`<div class="reason"><${Prose} text=${each.reason} /></div>`,
      ])}
    />
  `;
}
