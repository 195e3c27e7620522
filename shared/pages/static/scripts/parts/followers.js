// Who follows the change feed: the events, and DICOMcast with what it could not write (VIEW-7).

import { chosenPartition, conformance, health, json } from './api.js';
import { button, element, facts, fill, table } from './elements.js';
import { moment, number } from './format.js';
import { failure, notify, waiting } from './messages.js';
import { link } from './router.js';
import { t } from './texts.js';

const KINDS = { Healthy: 'good', Degraded: 'warn' };
const SHOWN = 100;

/** A section with a card for each follower that the service has. `signal` ends its requests. */
export function followers(signal) {
  const box = element('div', { class: 'stack' }, waiting());
  const draw = () => attempt(box, signal, async () => {
    const checks = new Map((await health(signal)).details.map((each) => [each.name, each]));
    const { features } = await conformance();
    fill(box, [features.events && events(checks.get('events')), checks.has('fhir') && await cast(signal, draw).catch((error) => failure(error, draw))]);
    if (!box.hasChildNodes()) fill(box, element('p', { class: 'muted' }, t('followers.none')));
  });
  draw();
  return element('section', { class: 'stack', 'aria-label': t('followers.title') }, element('h2', {}, t('followers.title')), box);
}

/** Fills `box` with what `work` puts in, or with why it could not. */
async function attempt(box, signal, work) {
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) fill(box, failure(error, () => attempt(box, signal, work)));
  }
}

function card(title, kind, state, ...content) {
  return element('section', { class: 'card', 'aria-label': title },
    element('div', { class: 'card-head' }, element('h3', {}, title), element('span', { class: `badge ${kind}` }, state)), content);
}

function events({ status, description }) {
  const well = status === 'Healthy';
  return card(t('followers.events'), KINDS[status] ?? 'bad', t(`health.${status}`),
    element('p', { class: 'muted' }, well ? t('followers.in-time') : description));
}

async function cast(signal, again) {
  const told = await json('cast/status', { parted: false, signal });
  const { circuit, openErrors, studiesParked: parked } = told;
  const errors = Object.entries(openErrors).filter(([, count]) => count > 0);
  const trouble = element('div', {});
  return card('DICOMcast', circuit.open ? 'bad' : 'good', t(circuit.open ? 'cast.no-answer' : 'cast.well'),
    facts([
      [t('cast.lag'), t('cast.behind', { entries: number(told.lagEntries), seconds: number(Math.round(told.lagSeconds)) })],
      [t('cast.waiting'), number(told.studiesWaiting)],
      [t('cast.parked'), number(parked)],
      [t('cast.open'), errors.map(([kind, count]) => `${kind}: ${number(count)}`).join(' · ')],
      [t('cast.last'), told.lastSuccess && moment(told.lastSuccess)],
      [t('cast.why'), circuit.failure],
      [t('cast.next'), circuit.nextProbe && moment(circuit.nextProbe)],
    ]),
    parked > 0 && element('div', { class: 'row' }, button(t('cast.replay'), () => attempt(trouble, signal, async () => {
      const { studies } = await json('cast/replay', { method: 'POST', parted: false, signal });
      notify(t('cast.replayed', { count: number(studies) }));
      again();
    }))), trouble,
    list(t('cast.errors'), 'cast/errors', signal, [t('changes.study'), t('cast.class'), t('changes.time'), t('cast.what'), [t('cast.attempts'), 'number']], errorRow),
    list(t('cast.unmatched'), 'cast/unmatched', signal, [t('changes.study'), t('cast.patient'), t('cast.since'), t('cast.candidates')], unmatchedRow));
}

/** A table that is asked for when it is opened. */
function list(title, path, signal, heads, row) {
  const box = element('div', { class: 'stack' });
  return element('details', { on: { toggle: ({ target }) => target.open && attempt(box, signal, async () => {
    const rows = await json(path, { parted: false, signal });
    fill(box, rows.length ? table(title, heads, rows.slice(0, SHOWN).map(row)) : element('p', { class: 'muted' }, t('cast.none')),
      rows.length > SHOWN && element('p', { class: 'small muted' }, t('cast.first', { shown: number(SHOWN), count: number(rows.length) })));
  }) } }, element('summary', {}, title), box);
}

function errorRow(error) {
  return element('tr', {}, study(error), element('td', {}, error.class), element('td', { class: 'nowrap' }, moment(error.createdAt ?? '')),
    element('td', { class: 'wrap' }, [error.httpStatus, error.exception].filter(Boolean).join(' ')),
    element('td', { class: 'number' }, number(error.attempts ?? 0)));
}

function unmatchedRow(waits) {
  return element('tr', {}, study(waits), element('td', { class: 'wrap' }, [waits.patientId, waits.issuer].filter(Boolean).join(' · ')),
    element('td', { class: 'nowrap' }, moment(waits.since ?? '')),
    element('td', { class: 'wrap' }, waits.candidates.map((each) => each.reference).join(', ')));
}

function study({ studyUid = '', partition }) {
  return element('td', { class: 'wrap mono' }, element('a', { href: link(`studies/${studyUid}`, chosenPartition() ? { partition } : {}) }, studyUid));
}
