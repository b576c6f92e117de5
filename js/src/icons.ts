/** The marks of cellyard among JupyterLab's own. */

import { LabIcon } from '@jupyterlab/ui-components';

const YARD = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><g class="jp-icon3" fill="#616161">
<path d="M3 4.5A1.5 1.5 0 0 1 4.5 3h5A1.5 1.5 0 0 1 11 4.5v3A1.5 1.5 0 0 1 9.5 9h-5A1.5 1.5 0 0 1 3 7.5z"/>
<path d="M13 16.5a1.5 1.5 0 0 1 1.5-1.5h5a1.5 1.5 0 0 1 1.5 1.5v3a1.5 1.5 0 0 1-1.5 1.5h-5a1.5 1.5 0 0 1-1.5-1.5z"/>
<path d="M6 10.5h2V14a3 3 0 0 0 3 3h.5v2H11a5 5 0 0 1-5-5z"/><path d="M13 5h3.5A3.5 3.5 0 0 1 20 8.5V13h-2V8.5A1.5 1.5 0 0 0 16.5 7H13z"/>
</g></svg>`;

const STEP = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><g class="jp-icon3" fill="#616161">
<path d="M4 4h10v2H6v12h8v2H4z"/><path d="m14.5 8 4.5 4-4.5 4v-3H9v-2h5.5z"/></g></svg>`;

const EXPORT = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><g class="jp-icon3" fill="#616161">
<path d="M12 3 7 8h4v7h2V8h4z"/><path d="M5 13h2v6h10v-6h2v8H5z"/></g></svg>`;

export const yardIcon = new LabIcon({ name: 'cellyard:yard', svgstr: YARD });
export const stepIcon = new LabIcon({ name: 'cellyard:step', svgstr: STEP });
export const exportIcon = new LabIcon({ name: 'cellyard:export', svgstr: EXPORT });
