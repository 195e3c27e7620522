// The API: what the OpenAPI document says of each request, and a form that sends it.

import { API, ask, chosenPartition, once } from '../parts/api.js';
import { button, choice, element, field, fill } from '../parts/elements.js';
import { size } from '../parts/format.js';
import { code, failure } from '../parts/messages.js';
import { offer } from '../parts/download.js';
import * as signIn from '../parts/sign_in.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options'];
const MOST_SHOWN = 200_000;
const PROBLEM = 'application/problem+json';

class ApiView extends View {
  show() {
    const box = element('div', { class: 'stack' });
    this.append(this.head(t('nav.api'), t('api.lead'), element('a', { class: 'button', href: `${API}/api.yaml` }, 'OpenAPI (YAML)'),
      element('a', { class: 'button', href: `${API}/api.json` }, 'OpenAPI (JSON)')), box);
    this.load(box, async () => {
      const described = await (await ask('api.json', { parted: false, signal: this.signal })).json();
      const all = Object.entries(described.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method])
        .map((method) => ({ path, method, ...item[method], parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])] })));
      const list = element('section', { class: 'card requests', 'aria-label': t('api.requests') });
      const draw = (words) => fill(list, all.filter(({ path, method, summary }) => `${method} ${path} ${summary}`.toLowerCase().includes(words))
        .map((one) => request(one, described)));
      const filter = element('input', { type: 'search', on: { input: () => draw(filter.value.trim().toLowerCase()) } });
      draw('');
      return [field(t('api.filter'), filter), list];
    });
  }
}

function request(one, described) {
  const body = element('div', { class: 'operation-body' });
  const made = element('details', { class: 'operation', on: { toggle: () => made.open && !body.firstChild && fill(body, form(one, described)) } },
    element('summary', {}, element('span', { class: `method ${one.method.toUpperCase()}` }, one.method.toUpperCase()),
      element('span', { class: 'mono wrap' }, one.path || '/'), element('span', { class: 'muted small' }, one.summary)),
    body);
  return made;
}

/** What `$ref` names, in the document. */
function resolved(schema, described) {
  const name = schema?.$ref?.split('/').at(-1);
  return name ? described.components.schemas[name] : schema ?? {};
}

function form(one, described) {
  const controls = one.parameters.map((parameter) => {
    const schema = resolved(parameter.schema, described);
    const type = [schema.type].flat()[0];
    const known = parameter.name === 'partition' ? chosenPartition() : null;
    const control = schema.enum ? choice([['', ''], ...schema.enum.map((value) => [String(value), String(value)])], '')
      : type === 'boolean' ? choice([['', ''], ['true', 'true'], ['false', 'false']], '')
        : element('input', { autocomplete: 'off', spellcheck: 'false', value: known, placeholder: parameter.example ?? '', required: parameter.required });
    return { parameter, control };
  });
  const more = element('input', { autocomplete: 'off', spellcheck: 'false', placeholder: 'PatientName=Doe*' });
  const produced = Object.keys(Object.entries(one.responses ?? {}).filter(([status]) => status.startsWith('2'))
    .reduce((types, [, answer]) => ({ ...types, ...answer.content }), {}));
  const accept = choice(['*/*', ...produced].map((type) => [type, type]), produced[0] ?? '*/*');
  const consumed = Object.entries(one.requestBody?.content ?? {});
  const sent = consumed.length ? bodyControls(consumed, one.requestBody.required) : null;
  const answer = element('div', { class: 'stack', 'aria-live': 'polite' });
  const command = element('div', {});

  const composed = () => {
    let path = one.path;
    const query = new URLSearchParams();
    const headers = { Accept: accept.value };
    for (const { parameter, control } of controls) {
      const value = control.value.trim();
      if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, encodeURIComponent(value).replaceAll('%2C', ',').replaceAll('%2F', '/'));
      else if (value && parameter.in === 'query') query.append(parameter.name, value);
      else if (value && parameter.in === 'header') headers[parameter.name] = value;
    }
    for (const [name, value] of new URLSearchParams(more.value.trim())) query.append(name, value);
    const url = new URL(`${API}${path}`);
    url.search = query.toString();
    if (sent) Object.assign(headers, sent.headers());
    return { url, method: one.method.toUpperCase(), headers };
  };
  const showCommand = () => fill(command, code(curl(composed(), sent)));

  const made = element('form', { class: 'stack', on: {
    input: showCommand, change: showCommand,
    submit: async (event) => {
      event.preventDefault();
      const { url, method, headers } = composed();
      fill(answer, element('span', { class: 'spinner', 'aria-hidden': 'true' }));
      try {
        const started = performance.now();
        const got = await once(url, { method, headers: { ...headers, Accept: `${headers.Accept}, ${PROBLEM};q=0.1` }, body: sent?.content() });
        await answered(answer, got, performance.now() - started);
      } catch (error) {
        fill(answer, failure(error));
      }
    },
  } },
  one.description && element('p', { class: 'muted' }, one.description),
  element('div', { class: 'fields' },
    controls.map(({ parameter, control }) => field(`${parameter.name}${parameter.required ? ' *' : ''}`, control, parameter.description)),
    one.method === 'get' && field(t('api.more'), more, t('api.more-hint')), field('Accept', accept)),
  sent?.elements, command,
  element('div', { class: 'row' }, element('button', { class: one.method === 'delete' ? 'danger' : 'primary' }, t('api.send'))), answer);
  showCommand();
  return made;
}

function bodyControls(consumed, required) {
  const type = choice(consumed.map(([name]) => [name, name]), consumed[0][0]);
  const file = element('input', { type: 'file' });
  const example = consumed.find(([, { example: value }]) => value !== undefined)?.[1].example;
  const text = element('textarea', { spellcheck: 'false' }, example === undefined ? '' : JSON.stringify(example, null, 2));
  const isText = () => !file.files.length && text.value.trim() !== '';
  return {
    elements: element('div', { class: 'stack' }, field('Content-Type', type),
      field(t('api.file'), file), field(`${t('api.text')}${required ? '' : ` (${t('api.optional')})`}`, text)),
    headers: () => (file.files.length || isText() ? { 'Content-Type': type.value } : {}),
    content: () => file.files[0] ?? (isText() ? text.value : undefined),
    command: () => (file.files.length ? ` --data-binary @${quoted(file.files[0].name)}` : isText() ? ` --data-binary ${quoted(text.value)}` : ''),
  };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ url, method, headers }, sent) {
  const token = signIn.needed() ? ' -H "Authorization: Bearer $TOKEN"' : '';
  const fields = Object.entries(headers).map(([name, value]) => ` -H ${quoted(`${name}: ${value}`)}`).join('');
  return `curl -X ${method}${token}${fields}${sent?.command() ?? ''} ${quoted(url.href)}`;
}

async function answered(box, got, milliseconds) {
  const blob = await got.blob();
  const type = got.headers.get('content-type') ?? '';
  const status = element('div', { class: 'row' },
    element('span', { class: `badge ${got.ok ? 'good' : 'bad'}` }, `${got.status} ${got.statusText}`),
    element('span', { class: 'muted small' }, `${Math.round(milliseconds)} ms · ${size(blob.size)}`));
  const headers = element('details', {}, element('summary', {}, t('api.headers')),
    element('pre', { tabindex: 0, 'aria-label': t('api.headers') }, [...got.headers].map(([name, value]) => `${name}: ${value}`).join('\n')));
  fill(box, status, headers, await content(blob, type));
}

async function content(blob, type) {
  if (!blob.size) return null;
  if (/^image\/(?:png|jpeg|gif)/.test(type)) {
    const url = URL.createObjectURL(blob);
    const image = element('img', { src: url, alt: t('api.answer') });
    image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
    return element('div', { class: 'picture' }, image);
  }
  const save = button(t('api.save'), () => offer(blob, 'answer'), { image: 'download' });
  if (!/json|^text\/|xml|yaml/.test(type) || type.startsWith('multipart')) return save;
  let text = await blob.slice(0, MOST_SHOWN).text();
  if (type.includes('json') && blob.size <= MOST_SHOWN) {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // It is shown as it came.
    }
  }
  return [element('pre', { class: 'answer', tabindex: 0, 'aria-label': t('api.answer') }, text), blob.size > MOST_SHOWN && save];
}

customElements.define('api-view', ApiView);
