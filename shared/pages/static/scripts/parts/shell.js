// The frame around the views: navigation, data partition, language, colours, who is signed in.

import { choosePartition, chosenPartition, conformance, json } from './api.js';
import { button, choice, element, field, fill, icon } from './elements.js';
import { dialog, failure, regions, waiting } from './messages.js';
import { applyTheme, prefer, preference } from './preferences.js';
import { go, link, place } from './router.js';
import { settings } from './settings.js';
import { shareToken, within } from './share.js';
import * as signIn from './sign_in.js';
import { LANGUAGES, loadTexts, locale, t } from './texts.js';

const ICON = new URL('../../icon.svg', import.meta.url).href;

/** Name of a view, its icon, and the function of the service without which there is no such view. */
const ENTRIES = [
  ['', 'home', null],
  ['studies', 'studies', 'search_studies'],
  ['upload', 'upload', 'store_studies'],
  ['worklist', 'worklist', 'search_workitems'],
  ['cohorts', 'cohorts', 'run_cohort'],
  ['shares', 'share', 'list_shares'],
  ['changes', 'changes', 'change_feed'],
  ['operations', 'operations', 'retrieve_operation'],
  ['tags', 'tags', 'list_extended_query_tags'],
  ['api', 'api', null],
];
const SHORTCUTS = { h: '', s: 'studies', u: 'upload', c: 'changes', o: 'operations', a: 'api' };

let main;
let navigation;
let partitions = null;
let shown = null;

/** Builds the frame and shows the place that the address names, now and whenever it changes. */
export function openShell(configuration) {
  main = element('main', { id: 'main', tabindex: -1 });
  build(configuration);
  addEventListener('popstate', show);
  addEventListener('keydown', shortcut);
  document.getElementById('skip-link').addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
  });
}

function build(configuration) {
  document.getElementById('skip-link').textContent = t('skip');
  navigation = element('ul', {});
  const box = element('div', {});
  if (shareToken !== null) return buildShared(configuration);
  const menu = button('', () => {
    const open = side.classList.toggle('open');
    menu.setAttribute('aria-expanded', String(open));
  }, { kind: 'menu-button icon-only', image: 'menu', 'aria-label': t('menu'), 'aria-expanded': 'false' });
  const side = element('header', { class: 'side' },
    element('div', { class: 'side-top' },
      element('a', { class: 'brand', href: link(within('')), 'data-path': within('') }, element('img', { src: ICON, alt: '' }), t('product')), menu),
    box,
    element('nav', { 'aria-label': t('navigation'), on: { click: () => side.classList.remove('open') } }, navigation),
    element('div', { class: 'side-foot' }, appearance(configuration), account()));
  fill(document.getElementById('shell'), element('div', { class: 'frame' }, side,
    element('div', { class: 'page' }, banner(configuration), main)), regions());
  entries();
  if (configuration.dataPartitions) choosePartitions(box);
}

/** The frame of who has the link of a share: nothing leads anywhere else. */
function buildShared(configuration) {
  const side = element('header', { class: 'side' },
    element('div', { class: 'side-top' },
      element('a', { class: 'brand', href: link(within('')), 'data-path': within('') }, element('img', { src: ICON, alt: '' }), t('product'))),
    element('div', { class: 'side-foot' }, appearance(configuration)));
  fill(document.getElementById('shell'), element('div', { class: 'frame' }, side, element('div', { class: 'page' }, main)), regions());
}

function banner(configuration) {
  if (configuration.authentication !== 'off') return null;
  return element('aside', { class: 'banner', 'aria-label': t('banner') }, icon('warning'), element('span', {}, t('banner.open')));
}

function appearance(configuration) {
  const language = choice(LANGUAGES, locale(), { on: { change: async () => {
    prefer('language', language.value);
    await loadTexts();
    build(configuration);
    show();
  } } });
  const theme = choice(['system', 'light', 'dark'].map((name) => [name, t(`theme.${name}`)]), preference('theme') ?? 'system', {
    on: { change: () => {
      prefer('theme', theme.value === 'system' ? null : theme.value);
      applyTheme();
    } },
  });
  return [field(t('language'), language), field(t('theme'), theme),
    button(t('shortcuts'), showShortcuts, { kind: 'plain small' })];
}

function account() {
  if (!signIn.needed()) return null;
  return element('div', { class: 'account' },
    signIn.signedIn() ? [element('span', { class: 'account-name' }, signIn.status.name), button(t('sign-out'), () => signIn.signOut())]
      : button(t('sign-in'), () => signIn.start(), { kind: 'primary' }));
}

async function entries() {
  fill(navigation, ENTRIES.filter(([, , needs]) => needs === null).map(entry));
  const { resources } = await conformance().catch(() => ({ resources: [] }));
  const names = new Set(resources.map((resource) => resource.name));
  fill(navigation, ENTRIES.filter(([, , needs]) => needs === null || names.has(needs)).map(entry));
  mark();
}

function entry([path, image]) {
  return element('li', {}, element('a', { href: link(path), 'data-path': path }, icon(image), t(`nav.${path || 'home'}`)));
}

function mark() {
  const [first] = place().path.split('/');
  for (const anchor of document.querySelectorAll('a[data-path]')) {
    const { path } = anchor.dataset;
    anchor.setAttribute('href', link(path));
    if (path === first && navigation.contains(anchor)) anchor.setAttribute('aria-current', 'page');
    else anchor.removeAttribute('aria-current');
  }
}

async function choosePartitions(box) {
  const listed = await json('partitions', { parted: false }).catch(() => null);
  const names = (listed ?? []).map((each) => each.partitionName);
  if (!names.length) return;
  partitions = choice(names.map((name) => [name, name]), chosenPartition(), { 'data-choose': 'partition', on: { change: () => {
    choosePartition(partitions.value);
    go(place().path.split('/')[0]);
  } } });
  fill(box, field(t('partition'), partitions));
}

/** Shows the place that the address names. */
export function show() {
  const now = place();
  if (settings.dataPartitions && now.query.has('partition')) choosePartition(now.query.get('partition'));
  if (partitions) partitions.value = chosenPartition();
  if (now.load && !customElements.get(now.tag)) {
    fill(main, waiting()); // the view before is left now, with all that it was about to do
    now.load().then(show, (error) => fill(main, failure(error, show)));
    return;
  }
  const known = !signIn.needed() || signIn.signedIn();
  const view = document.createElement(known ? now.tag : 'sign-in-view');
  view.place = now;
  document.title = `${t(now.title)} · ${t('product')}`;
  fill(main, view);
  mark();
  if (shown !== null && shown !== now.path) {
    scrollTo(0, 0);
    (view.querySelector('h1') ?? main).focus({ preventScroll: true });
  }
  shown = now.path;
}

function shortcut(event) {
  const typing = event.target.closest?.('input, select, textarea, dialog, [contenteditable]');
  if (shareToken !== null || typing || event.ctrlKey || event.metaKey || event.altKey || preference('shortcuts') === 'off') return;
  if (event.key === '?') showShortcuts();
  else if (event.key === '/') document.querySelector('main input')?.focus();
  else if (event.key in SHORTCUTS) go(SHORTCUTS[event.key]);
  else return;
  event.preventDefault();
}

function showShortcuts() {
  const used = element('input', { type: 'checkbox', id: 'use-shortcuts', checked: preference('shortcuts') !== 'off',
    on: { change: () => prefer('shortcuts', used.checked ? null : 'off') } });
  const keys = [['/', t('shortcut.search')], ...Object.entries(SHORTCUTS).map(([key, path]) => [key, t(`nav.${path || 'home'}`)]),
    ['?', t('shortcuts')], ['Esc', t('close')]];
  dialog(t('shortcuts'), () => [
    element('dl', { class: 'facts' }, keys.map(([key, text]) => [element('dt', {}, element('kbd', {}, key)), element('dd', {}, text)])),
    element('div', { class: 'check' }, used, element('label', { for: 'use-shortcuts' }, t('shortcuts.use'))),
  ]);
}
