// Starts the pages: texts, sign-in, views.

import { choosePartition } from './parts/api.js';
import { applyTheme } from './parts/preferences.js';
import { place, route } from './parts/router.js';
import { loadSettings } from './parts/settings.js';
import { openShell, show } from './parts/shell.js';
import * as signIn from './parts/sign_in.js';
import { loadTexts } from './parts/texts.js';
import './views/changes.js';
import './views/cohort.js';
import './views/cohorts.js';
import './views/home.js';
import './views/operations.js';
import './views/shared.js';
import './views/shares.js';
import './views/sign_in.js';
import './views/studies.js';
import './views/study.js';
import './views/tags.js';
import './views/unknown.js';
import './views/upload.js';
import './views/workitem.js';
import './views/worklist.js';

route('', 'home-view', 'nav.home');
route('studies', 'studies-view', 'nav.studies');
route('studies/:study', 'study-view', 'study.title');
route('upload', 'upload-view', 'nav.upload');
route('worklist', 'worklist-view', 'nav.worklist');
route('worklist/:workitem', 'workitem-view', 'workitem.title');
route('worklist-rules', 'worklist-rules-view', 'rules.title', () => import('./views/worklist_rules.js'));
route('cohorts', 'cohorts-view', 'nav.cohorts');
route('cohorts/:cohort', 'cohort-view', 'cohorts.title');
route('shares', 'shares-view', 'nav.shares');
route('share/:token', 'shared-view', 'shared.title');
route('share/:token/studies/:study', 'study-view', 'study.title');
route('changes', 'changes-view', 'nav.changes');
route('operations', 'operations-view', 'nav.operations');
route('operations/:operation', 'operations-view', 'nav.operations');
route('tags', 'tags-view', 'nav.tags');
route('api', 'api-view', 'nav.api', () => import('./views/api.js'));

applyTheme();
const [configuration] = await Promise.all([loadSettings(), loadTexts()]);
await signIn.begin(configuration);
if (configuration.dataPartitions) choosePartition(place().query.get('partition') ?? 'Microsoft.Default');
openShell(configuration);
show();
