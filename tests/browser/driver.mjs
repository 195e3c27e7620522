// Drives one page of a real browser for the tests: a request a line on stdin, {number, call, arguments}, an answer a line
// on stdout, {number, value} or {number, error}. What the page exchanged with servers is recorded, CORS preflights
// included.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const [cache, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${cache}/`)('playwright-core');

const axe = await readFile(`${cache}/node_modules/axe-core/axe.min.js`, 'utf-8');

const browser = await chromium.launch({
  executablePath,
  args: [
    // Pictures are drawn without a graphics card; tests run as root in containers; nothing is looked up elsewhere.
    '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist', '--no-sandbox', '--disable-quic',
    '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync',
  ],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 640 }, serviceWorkers: 'allow' });
let page, network, exchanges, complaints;
const held = [];
/** What somebody can use. */
const OPERABLE = 'a[href], button:not(:disabled), input:not(:disabled), select, textarea, summary, [tabindex="0"]';

async function record(session) {
  const preflights = new Map();
  await session.send('Network.enable');
  session.on('Network.requestWillBeSent', ({ requestId, request }) => {
    if (request.method !== 'OPTIONS') return;
    const exchange = { method: request.method, url: request.url, status: null, failure: 'no answer', sent: {}, received: {} };
    for (const [name, value] of Object.entries(request.headers)) exchange.sent[name.toLowerCase()] = value;
    preflights.set(requestId, exchange);
    exchanges.push(exchange);
  });
  session.on('Network.responseReceived', ({ requestId, response }) => {
    const exchange = preflights.get(requestId);
    if (exchange) Object.assign(exchange, { status: response.status, failure: null });
  });
}

const calls = {
  async open() {
    await page?.close();
    page = await context.newPage();
    page.setDefaultTimeout(120_000);
    [exchanges, complaints] = [[], []];
    network = await context.newCDPSession(page);
    await record(network);
    const opened = page;
    page.on('requestfinished', async (request) => {
      try {
        const [response, sent] = [await request.response(), await request.allHeaders()];
        const exchange = {
          method: request.method(), url: request.url(), status: response.status(), failure: null,
          sent, received: await response.allHeaders(),
        };
        if (opened === page) exchanges.push(exchange);
      } catch (error) {
        // A page that was closed meanwhile is asked for nothing any more; any other failure is the test's.
        if (!opened.isClosed()) complaints.push(String(error.stack ?? error));
      }
    });
    page.on('requestfailed', (request) => exchanges.push({
      method: request.method(), url: request.url(), status: null, failure: request.failure().errorText, sent: {}, received: {},
    }));
    page.on('pageerror', (error) => complaints.push(String(error.stack ?? error)));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  },
  goto: (url) => page.goto(url),
  fill: (selector, text) => page.locator(selector).first().fill(text),
  choose: (selector, name, base64) => page.locator(selector).first().setInputFiles({
    name, mimeType: 'application/dicom', buffer: Buffer.from(base64, 'base64'),
  }),
  click: (selector) => page.locator(selector).first().click(),
  press: (key) => page.keyboard.press(key),
  doubleClick: (selector) => page.locator(selector).first().dblclick(),
  async scroll(selector, deltaY) {
    await page.locator(selector).first().hover();
    await page.mouse.wheel(0, deltaY);
  },
  visible: (selector) => page.locator(selector).first().waitFor(),
  hidden: (selector) => page.locator(selector).first().waitFor({ state: 'hidden' }),
  select: (selector, value) => page.locator(selector).first().selectOption(value),
  value: (selector) => page.locator(selector).first().inputValue(),
  count: (selector) => page.locator(selector).count(),
  address: () => page.url(),
  back: () => page.goBack(),
  choosePath: (selector, path) => page.locator(selector).first().setInputFiles(path),
  // Lets files fall on an element: [name, base64] each.
  drop: (selector, files) => page.locator(selector).first().evaluate((target, dropped) => {
    const dataTransfer = new DataTransfer();
    for (const [name, base64] of dropped) {
      dataTransfer.items.add(new File([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))], name));
    }
    target.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  }, files),
  // Answers requests for a pattern of URLs itself, with JSON, until the next page is opened.
  answer: (pattern, json) => page.route(pattern, (route) => route.fulfill({ json })),
  // Answers them with a status and a problem, or not at all until `release`.
  refuse: (pattern, status, json, headers = {}) => page.route(pattern, (route) => route.fulfill({ status, json, headers })),
  hold: (pattern) => page.route(pattern, async (route) => {
    await new Promise((resolve) => held.push(resolve));
    await route.continue().catch(() => {}); // the page may be elsewhere by then
  }),
  release: () => held.splice(0).forEach((resolve) => resolve()),
  unroute: () => page.unrouteAll({ behavior: 'ignoreErrors' }),
  motion: (wish) => page.emulateMedia({ reducedMotion: wish }),
  // Goes through the page by Tab: what can be used and was not reached, and what had the focus without showing it.
  async walk() {
    const count = await page.evaluate((operable) => {
      globalThis.walked = [...document.querySelectorAll(operable)].filter((one) => one.checkVisibility({ visibilityProperty: true }));
      document.activeElement?.blur();
      return globalThis.walked.length;
    }, OPERABLE);
    const [reached, unseen] = [new Set(), new Set()];
    for (let at = 0; at < 3 * count + 40 && reached.size < count; at += 1) {
      await page.keyboard.press('Tab');
      const [number, shows, name] = await page.evaluate(() => {
        const one = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(one);
        return [globalThis.walked.indexOf(one), outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2, one.outerHTML.slice(0, 120)];
      });
      if (number < 0) continue;
      reached.add(number);
      if (!shows) unseen.add(name);
    }
    const missed = await page.evaluate((found) => globalThis.walked.filter((_, at) => !found.includes(at)).map((one) => one.outerHTML.slice(0, 120)), [...reached]);
    return { count, missed, unseen: [...unseen] };
  },
  // Forgets what was fetched before, as a browser that comes for the first time.
  async forget() {
    await page.goto('about:blank');
    await network.send('Network.clearBrowserCache');
  },
  // Waits until nothing is asked for any more: what came over the network for this page, and how much of it from the API.
  async asked() {
    await page.waitForLoadState('networkidle');
    return page.evaluate(() => {
      const came = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter(({ transferSize }) => transferSize > 0);
      return [came.length, came.filter(({ name }) => name.includes('/v2/')).length, came.reduce((sum, { transferSize }) => sum + transferSize, 0)];
    });
  },
  // Opens an address and waits until so many elements are drawn: milliseconds since the beginning, and how many elements there are.
  async ready(url, selector, least) {
    await page.goto('about:blank');
    await page.goto(url, { waitUntil: 'commit' });
    return page.evaluate(([wanted, count]) => new Promise((resolve) => {
      const look = () => {
        if (document.querySelectorAll(wanted).length < count) requestAnimationFrame(look);
        else requestAnimationFrame(() => resolve([performance.now(), document.querySelectorAll('*').length]));
      };
      look();
    }), [selector, least]);
  },
  colours: (scheme) => page.emulateMedia({ colorScheme: scheme }),
  size: (width, height) => page.setViewportSize({ width, height }),
  evaluate: (text) => page.evaluate(text),
  violations: async () => {
    await page.evaluate(axe);
    // What is still appearing has other colours than what people read; a spinner never ends.
    await page.evaluate(() => Promise.allSettled(document.getAnimations()
      .filter((each) => each.effect?.getComputedTiming().iterations !== Infinity).map((each) => each.finished)));
    return page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ['violations'] })).violations
      .map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`) })));
  },
  download: async (selector) => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator(selector).first().click()]);
    return (await readFile(await download.path())).toString('base64');
  },
  texts: (selector) => page.locator(selector).allInnerTexts(),
  picture: async (selector) => (await (selector ? page.locator(selector).first() : page).screenshot()).toString('base64'),
  exchanges: () => exchanges,
  complaints: () => complaints,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { number, call, arguments: values } = JSON.parse(line);
  let answer;
  try {
    answer = { number, value: (await calls[call](...values)) ?? null };
  } catch (error) {
    answer = { number, error: String(error.message ?? error) };
  }
  // A navigation answers with an object of the driver, which says nothing to the tests.
  process.stdout.write(`${JSON.stringify(call === 'goto' ? { ...answer, value: null } : answer)}\n`);
}
await browser.close();
