// Ways into OHIF Viewer, where the deployment has it (VIEW-4).

import { chosenPartition } from './api.js';
import { list, TAG, text } from './dicom.js';
import { element, icon } from './elements.js';
import { settings } from './settings.js';
import { shareToken } from './share.js';
import { t } from './texts.js';

/** Slides are shown by another part of the viewer. */
const MICROSCOPY = 'SM';

/** Whether there is a viewer. */
export function hasViewer() {
  return settings.viewer !== null;
}

/** The address of a study in the viewer; with the UID of a series that one is shown first. */
export function viewerAddress(study, series = '') {
  const slides = list(study, TAG.modalities).split(', ').includes(MICROSCOPY);
  const query = new URLSearchParams({ StudyInstanceUIDs: text(study, TAG.study) });
  if (series) query.set('initialSeriesInstanceUID', series);
  if (chosenPartition()) query.set('partition', chosenPartition());
  const share = shareToken === null ? '' : `#/share/${shareToken}`;
  return `viewer/${slides ? 'microscopy' : 'viewer'}?${query}${share}`;
}

/** A link that opens a study in the viewer; null where there is none. */
export function viewerLink(study, attributes = {}) {
  return hasViewer() && element('a', { href: viewerAddress(study), ...attributes }, icon('picture'), t('viewer.open'));
}
