// Values of data sets in the DICOM JSON model (PS3.18 Annex F), as text.

import { locale } from './texts.js';

/** The values of an attribute; empty if it has none. */
export function values(dataset, tag) {
  return dataset?.[tag]?.Value ?? [];
}

/** The first value, as text; empty if there is none. */
export function text(dataset, tag) {
  return shown(dataset?.[tag], values(dataset, tag)[0]);
}

/** Every value, as text. */
export function list(dataset, tag) {
  return values(dataset, tag).map((value) => shown(dataset[tag], value)).filter(Boolean).join(', ');
}

/** One value of an attribute, as text. */
export function shown(attribute, value) {
  if (value === undefined || value === null) return '';
  if (attribute.vr === 'PN') return personName(value);
  if (attribute.vr === 'DA') return date(value);
  if (attribute.vr === 'TM') return time(value);
  if (attribute.vr === 'DT') return `${date(String(value).slice(0, 8))} ${String(value).length >= 10 ? time(String(value).slice(8)) : ''}`.trim();
  return typeof value === 'object' ? '' : String(value);
}

/** A name: family, given; with its ideographic form behind it. */
export function personName(value) {
  if (typeof value !== 'object' || value === null) return String(value ?? '');
  const forms = [value.Alphabetic, value.Ideographic].filter((form) => typeof form === 'string' && form);
  return forms.map((form) => {
    const [family, given, middle, prefix, suffix] = form.split('^').map((part) => part.trim());
    const rest = [prefix, given, middle, suffix].filter(Boolean).join(' ');
    return [family, rest].filter(Boolean).join(', ');
  }).join(' · ') || String(value.Phonetic ?? '');
}

/** A date (VR DA) as the reader writes it. What is no date is shown as it is. */
export function date(value) {
  const found = /^(\d{4})(\d{2})(\d{2})$/.exec(value);
  if (!found) return String(value);
  const day = new Date(Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3])));
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeZone: 'UTC' }).format(day);
}

/** A time (VR TM): hours and minutes. */
export function time(value) {
  const found = /^(\d{2})(\d{2})?/.exec(value);
  return found ? `${found[1]}:${found[2] ?? '00'}` : String(value);
}

/** A date of a form (2026-01-31) as VR DA. */
export function toDicomDate(value) {
  return value.replaceAll('-', '');
}

export const TAG = {
  specificCharacterSet: '00080005', sopClass: '00080016', sopInstance: '00080018', studyDate: '00080020', studyTime: '00080030',
  accession: '00080050', availability: '00080056', modality: '00080060', modalities: '00080061', referringPhysician: '00080090',
  studyDescription: '00081030', seriesDescription: '0008103E', manufacturerModel: '00081090', patientName: '00100010',
  patientId: '00100020', birthDate: '00100030', sex: '00100040', bodyPart: '00180015', study: '0020000D', series: '0020000E',
  studyId: '00200010', seriesNumber: '00200011', instanceNumber: '00200013', seriesOfStudy: '00201206', instancesOfStudy: '00201208',
  instancesOfSeries: '00201209', frames: '00280008', rows: '00280010', columns: '00280011',
  failedSequence: '00081198', storedSequence: '00081199', failureReason: '00081197', warningReason: '00081196',
  failedAttributes: '00741048', errorComment: '00000902',
};
