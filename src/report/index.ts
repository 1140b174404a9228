/** Reports from results. */
export { spectrumSvg } from './chart.js';
export type { ReportContext, SpectrumDocument } from './document.js';
export { operatorTitles } from './document.js';
export { significant, withError } from './numbers.js';
export { renderReport } from './page.js';
