// Starts the pages: texts, sign-in. A view is fetched when it is shown (VIEW-14).

import { choosePartition } from './parts/api.js';
import { applyTheme } from './parts/preferences.js';
import { place, route } from './parts/router.js';
import { loadSettings } from './parts/settings.js';
import { openShell, show } from './parts/shell.js';
import * as signIn from './parts/sign_in.js';
import { loadTexts } from './parts/texts.js';
import './views/sign_in.js';
import './views/unknown.js';

route('', 'home-view', 'nav.home', () => import('./views/home.js'));
route('studies', 'studies-view', 'nav.studies', () => import('./views/studies.js'));
route('studies/:study', 'study-view', 'study.title', () => import('./views/study.js'));
route('upload', 'upload-view', 'nav.upload', () => import('./views/upload.js'));
route('worklist', 'worklist-view', 'nav.worklist', () => import('./views/worklist.js'));
route('worklist/:workitem', 'workitem-view', 'workitem.title', () => import('./views/workitem.js'));
route('worklist-rules', 'worklist-rules-view', 'rules.title', () => import('./views/worklist_rules.js'));
route('cohorts', 'cohorts-view', 'nav.cohorts', () => import('./views/cohorts.js'));
route('cohorts/:cohort', 'cohort-view', 'cohorts.title', () => import('./views/cohort.js'));
route('shares', 'shares-view', 'nav.shares', () => import('./views/shares.js'));
route('share/:token', 'shared-view', 'shared.title', () => import('./views/shared.js'));
route('share/:token/studies/:study', 'study-view', 'study.title', () => import('./views/study.js'));
route('changes', 'changes-view', 'nav.changes', () => import('./views/changes.js'));
route('operations', 'operations-view', 'nav.operations', () => import('./views/operations.js'));
route('operations/:operation', 'operations-view', 'nav.operations', () => import('./views/operations.js'));
route('tags', 'tags-view', 'nav.tags', () => import('./views/tags.js'));
route('api', 'api-view', 'nav.api', () => import('./views/api.js'));

applyTheme();
const [configuration] = await Promise.all([loadSettings(), loadTexts()]);
await signIn.begin(configuration);
if (configuration.dataPartitions) choosePartition(place().query.get('partition') ?? 'Microsoft.Default');
openShell(configuration);
show();
