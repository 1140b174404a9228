/** Style sheets of the report and of the figure alone. */

const light = `--paper:#ffffff;--soft:#f5f6f8;--rule:#e3e6eb;--ink:#1b2029;--muted:#5c6675;--accent:#2a5bd7;--band:#2a5bd733;--rough:#2a5bd71a;--mark:#c2410c;--s0:#2a5bd7;--s1:#c2410c;--s2:#15803d;--s3:#9333ea;--s4:#b45309;--s5:#0e7490;--s6:#be185d`;
const dark = `--paper:#12151b;--soft:#1a1f27;--rule:#2c333e;--ink:#e7eaf0;--muted:#98a3b3;--accent:#82a8ff;--band:#82a8ff3d;--rough:#82a8ff1f;--mark:#ff9a6b;--s0:#82a8ff;--s1:#ff9a6b;--s2:#5fd08a;--s3:#c9a2ff;--s4:#f0c04f;--s5:#63d3e6;--s6:#ff8fc0`;

/** Colours for light and dark, as custom properties of `selector`. Paper is always light. */
export function colours(selector: string): string {
  return `${selector}{${light}}@media (prefers-color-scheme:dark){${selector}{${dark}}}@media print{${selector}{${light}}}`;
}

const font = `system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif`;

export const chartStyle = `
.chart{font:12px ${font}}
.chart text{fill:var(--muted);text-anchor:middle}
.chart .paper{fill:var(--paper)}
.chart .side{text-anchor:end}
.chart .tick{font-variant-numeric:tabular-nums}
.chart .title{font-size:13px}
.chart .name{fill:var(--mark);font-size:13px}
.chart path{fill:none}
.chart .grid{stroke:var(--rule)}
.chart .axis{stroke:var(--muted)}
.chart path.band{fill:var(--band)}
.chart path.rough{fill:var(--rough)}
.chart .line{stroke-width:1.8;stroke-linejoin:round}
.chart .curve{stroke:var(--accent);stroke-width:1.6;stroke-linejoin:round}
.chart .rug{stroke:var(--accent);stroke-opacity:.45;stroke-width:.8}
.chart .drop{stroke:var(--mark);stroke-opacity:.35;stroke-dasharray:2 3}
.chart path.mark{fill:var(--mark)}
.chart .cursor path{stroke:var(--muted)}
.chart .cursor text{fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:4px}
`;

/** colours of a chart's lines by their place, on the line, its points and its key */
const series = Array.from(
  { length: 7 },
  (_, i) =>
    `.chart path.s${i}{stroke:var(--s${i})}.chart circle.s${i}{fill:var(--s${i})}.key.s${i}{height:0;border-top:2px solid var(--s${i});vertical-align:middle}`,
).join('');

export const pageStyle = `${series}
*{box-sizing:border-box}
:root{color-scheme:light dark}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 ${font}}
main{max-width:1020px;margin:0 auto;padding:40px 24px 56px}
h1{font-size:30px;line-height:1.2;font-weight:650;letter-spacing:-.01em;margin:0 0 12px;overflow-wrap:anywhere}
h2{font-size:18px;font-weight:650;margin:44px 0 12px}
p{margin:0 0 12px}
.lead{font-size:17px;color:var(--muted);max-width:76ch;overflow-wrap:anywhere}
.lead b{color:var(--ink);font-weight:600}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:1px;margin:24px 0 8px;background:var(--rule);border:1px solid var(--rule);border-radius:10px;overflow:hidden}
.facts div{background:var(--paper);padding:12px 14px}.facts dt{white-space:nowrap}
dt{color:var(--muted);font-size:13px}
.facts dd{margin:2px 0 0;font-size:19px;font-weight:600;font-variant-numeric:tabular-nums}
figure{margin:28px 0 0}
.chart{display:block;width:100%;height:auto}
figcaption{color:var(--muted);font-size:14px;margin-top:6px;max-width:100ch}
.key{display:inline-block;width:22px;height:10px;margin:0 5px 0 0;vertical-align:baseline;border-radius:2px}
.key.l{height:0;border-top:2px solid var(--accent);vertical-align:middle}.key.b{background:var(--band)}.key.r{background:var(--rough)}
.key.t{width:0;height:0;border:5px solid transparent;border-top:0;border-bottom:9px solid var(--mark);border-radius:0}
figcaption span{white-space:nowrap;margin-right:18px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:8px 40px}
table{border-collapse:collapse;width:100%;font-size:15px;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--muted);font-size:14px;padding-bottom:4px}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--rule)}
th{color:var(--muted);font-weight:500;font-size:13px}
th:first-child,td:first-child{text-align:left;padding-left:0}
td.text,th.text{text-align:left;overflow-wrap:anywhere}
code,pre{font:13.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--soft);border-radius:8px;padding:12px 14px;margin:0 0 20px;white-space:pre-wrap;overflow-wrap:anywhere}
ul{margin:0;padding-left:20px}li{margin:4px 0}
dl.settings{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:0}
.settings dt{font-size:15px}.settings dd{margin:0;font-size:15px;overflow-wrap:anywhere}
footer{margin-top:48px;padding-top:12px;border-top:1px solid var(--rule);color:var(--muted);font-size:13px}
@media print{main{max-width:none;padding:0}figure,table,dl{break-inside:avoid}h2{break-after:avoid}.chart .cursor{display:none}body{font-size:12px}}
`;
