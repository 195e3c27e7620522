// Where files are dropped or chosen: files, folders with all that is in them, zip archives.

import { button, element, icon } from './elements.js';
import { t } from './texts.js';

/** The place. `taken` gets a list of { file, path }. */
export function drop(taken) {
  const input = (attributes) => {
    const made = element('input', { type: 'file', multiple: true, hidden: true, ...attributes, on: { change: () => {
      taken([...made.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      made.value = '';
    } } });
    return made;
  };
  const files = input({ 'data-choose': 'files' });
  const folder = input({ webkitdirectory: true, 'data-choose': 'folder' });
  const box = element('section', { class: 'drop', 'aria-label': t('drop.title'), on: {
    dragover: (event) => {
      event.preventDefault();
      box.classList.add('over');
    },
    dragleave: (event) => box.contains(event.relatedTarget) || box.classList.remove('over'),
    drop: async (event) => {
      event.preventDefault();
      box.classList.remove('over');
      taken(await dropped(event.dataTransfer));
    },
  } },
  icon('upload', 'large'), element('strong', {}, t('drop.title')), element('span', {}, t('drop.text')),
  element('div', { class: 'row' },
    button(t('drop.files'), () => files.click(), { image: 'file' }), button(t('drop.folder'), () => folder.click(), { image: 'folder' })),
  files, folder);
  return box;
}

/** All files of a drop. Entries must be taken before anything is waited for: the drop ends with its event. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  const waiting = entries;
  while (waiting.length) {
    const entry = waiting.pop();
    if (entry.isFile) {
      const file = await new Promise((resolve) => { entry.file(resolve, () => resolve(null)); });
      found.push({ file, path: entry.fullPath.replace(/^\//, '') }); // without a file: it cannot be read, and that is told
    } else {
      const reader = entry.createReader();
      for (let some = [null]; some.length;) {
        some = await new Promise((resolve) => { reader.readEntries(resolve, () => resolve([])); });
        waiting.push(...some);
      }
    }
  }
  return found;
}
