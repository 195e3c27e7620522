// Workitems (UPS-RS) as pages show them, and the least that a new one must have (PS3.4 Table CC.2.5-3).

import { text, values } from './dicom.js';

export const WORKITEM = {
  uid: '00080018', state: '00741000', label: '00741204', list: '00741202', priority: '00741200', start: '00404005', patient: '00100010',
  patientId: '00100020', study: '0020000D', station: '00404025', progress: '00741002', percent: '00741004', performed: '00741216',
  readiness: '00404041', changed: '00404010', due: '00404011', reason: '00741238', cancelled: '00404052', begun: '00404050',
  ended: '00404051', description: '00741006', requests: '0040A370', accession: '00080050', meaning: '00080104', code: '00080100',
  scheme: '00080102', performedStation: '00404028', work: '00404018',
};

export const STATES = ['SCHEDULED', 'IN PROGRESS', 'COMPLETED', 'CANCELED'];
export const PRIORITIES = ['HIGH', 'MEDIUM', 'LOW'];
export const STATE_KINDS = { SCHEDULED: 'accent', 'IN PROGRESS': 'warn', COMPLETED: 'good', CANCELED: '' };

/** The codes of a sequence, as people read them. */
export function codes(dataset, tag) {
  return values(dataset, tag).map((item) => text(item, WORKITEM.meaning) || text(item, WORKITEM.code)).filter(Boolean).join(', ');
}

/** Attributes that must be there and may be empty, with their VRs. */
const EMPTY = {
  '00081080': 'LO', '00081084': 'SQ', '00100021': 'LO', '00100024': 'SQ', '00100030': 'DA', '00100040': 'CS', '00101002': 'SQ',
  '00380010': 'LO', '00380014': 'SQ', '00400400': 'LT', '00404018': 'SQ', '00404021': 'SQ', '00404025': 'SQ', '00404026': 'SQ',
  '00404027': 'SQ', '0040A370': 'SQ', '00741002': 'SQ', '00741210': 'SQ', '00741216': 'SQ', '00741202': 'LO',
};

/** The data set of a new workitem. `start` is a Date; what is empty stays so. */
export function newWorkitem({ label, list, priority, start, name, patientId, study, station }) {
  const given = (vr, value) => (value ? { vr, Value: [value] } : { vr });
  const digits = (number) => String(number).padStart(2, '0');
  const day = `${start.getFullYear()}${digits(start.getMonth() + 1)}${digits(start.getDate())}`;
  const dataset = Object.fromEntries(Object.entries(EMPTY).map(([tag, vr]) => [tag, { vr }]));
  return {
    ...dataset,
    [WORKITEM.label]: given('LO', label), [WORKITEM.list]: given('LO', list), [WORKITEM.priority]: given('CS', priority),
    [WORKITEM.readiness]: given('CS', 'READY'),
    [WORKITEM.start]: given('DT', `${day}${digits(start.getHours())}${digits(start.getMinutes())}00`),
    [WORKITEM.patient]: name ? { vr: 'PN', Value: [{ Alphabetic: name }] } : { vr: 'PN' },
    ...(patientId && { [WORKITEM.patientId]: given('LO', patientId) }), ...(study && { [WORKITEM.study]: given('UI', study) }), // present: not empty
    [WORKITEM.station]: station ? { vr: 'SQ', Value: [{ [WORKITEM.code]: given('SH', station), [WORKITEM.scheme]: given('SH', '99LOCAL'), [WORKITEM.meaning]: given('LO', station) }] } : { vr: 'SQ' },
  };
}

/** A new UID, of a random UUID (PS3.5 §B.2). */
export function newUid() {
  return `2.25.${BigInt(`0x${crypto.randomUUID().replaceAll('-', '')}`)}`;
}
