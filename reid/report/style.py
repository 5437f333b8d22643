"""The page's style sheet: one string, because the page must be one file."""

CSS = """
:root {
  color-scheme: light dark;
  --ground: #f6f6f3; --card: #ffffff; --ink: #1c2127; --muted: #626a74; --line: #e2e3df; --accent: #22579e;
  --right: #17824a; --wrong: #cc3333; --box: #d9dad6;
  --s0: #22579e; --s1: #cf6a10; --s2: #178a72; --s3: #8248b8; --s4: #b23a62; --s5: #6b7280;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #13161a; --card: #1b1f24; --ink: #e6e8ea; --muted: #98a1ab; --line: #2d333a; --accent: #82b1f5;
    --right: #45c07f; --wrong: #f27070; --box: #3a4048;
    --s0: #74a9f7; --s1: #f0a050; --s2: #4fc4a4; --s3: #bd95ee; --s4: #ef85a8; --s5: #9aa3ae;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1160px; margin: 0 auto; padding: 40px 24px 72px; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 24px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; letter-spacing: -0.01em; margin: 48px 0 12px; }
h3 { font-size: 0.95rem; margin: 0; font-weight: 600; }
p { margin: 0; }
.note { color: var(--muted); font-size: 0.9rem; max-width: 70ch; margin-bottom: 16px; }
.card, .chart { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.empty { color: var(--muted); font-size: 0.9rem; padding: 8px 0; }

.headline { display: grid; grid-template-columns: minmax(0, 1.55fr) minmax(0, 1fr); }
.numbers { margin: 0; padding: 28px; display: grid; grid-template-columns: repeat(6, 1fr); gap: 24px 16px; }
.numbers { align-content: space-evenly; }
.numbers div { grid-column: span 2; display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.numbers .large { grid-column: span 3; }
.numbers dt { color: var(--muted); font-size: 0.9rem; }
.numbers dd { margin: 0; font-size: 1.6rem; line-height: 1.2; font-weight: 600; letter-spacing: -0.02em; }
.numbers .large dd { font-size: 3rem; line-height: 1.05; }
.numbers .large:first-child dd { color: var(--accent); }
.measured { padding: 28px; border-left: 1px solid var(--line); }
.measured h2 { font-size: 0.9rem; font-weight: 400; letter-spacing: 0; color: var(--muted); margin: 0 0 4px; }
.stamp { font: 0.84rem/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.stamp { margin-bottom: 16px; overflow-wrap: anywhere; }
.pairs { margin: 0; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 4px 16px; font-size: 0.9rem; }
.pairs div { display: contents; }
.pairs dt { color: var(--muted); }
.pairs dd { margin: 0; overflow-wrap: anywhere; }

.facts { margin: 0; padding: 20px 28px; display: grid; gap: 16px 24px; }
.facts { grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); }
.facts dt { color: var(--muted); font-size: 0.82rem; }
.facts dd { margin: 0; font-size: 0.95rem; overflow-wrap: anywhere; white-space: pre-line; }

.charts { display: grid; gap: 16px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.charts.three { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.charts.one { grid-template-columns: minmax(0, 1fr); }
.chart { margin: 0; padding: 18px 22px 14px; display: flex; flex-direction: column; }
.chart figcaption { flex: 1; padding-bottom: 18px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 6px 0 0; padding: 0; }
.legend { color: var(--muted); font-size: 0.82rem; }
.legend li::before {
  content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; background: var(--own);
  margin-right: 6px; vertical-align: middle;
}
.legend b { color: var(--ink); font-weight: 600; }
.s0 { --own: var(--s0); } .s1 { --own: var(--s1); } .s2 { --own: var(--s2); }
.s3 { --own: var(--s3); } .s4 { --own: var(--s4); } .s5 { --own: var(--s5); }
.plot { position: relative; height: 200px; margin: 0 4px 26px calc(var(--gutter) + 10px); font-size: 0.75rem; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round; stroke-linejoin: round; }
.grid { stroke: var(--line); stroke-width: 1; }
.line { stroke: var(--own); stroke-width: 2; }
.dot { stroke: var(--own); stroke-width: 6; }
.strip { fill: transparent; }
.strip:hover { fill: var(--muted); fill-opacity: 0.18; }
.plot span { position: absolute; color: var(--muted); white-space: nowrap; line-height: 1; }
.plot .y { right: 100%; transform: translateY(-50%); padding-right: 8px; }
.plot .x { top: 100%; transform: translateX(-50%); padding-top: 8px; }
.axis { color: var(--muted); font-size: 0.75rem; text-align: right; line-height: 1; }
.faint { stroke: var(--muted); stroke-width: 1.25; stroke-opacity: 0.3; }
.plot.points { height: 300px; margin-right: 24px; }
.plot .point { color: var(--ink); font-size: 0.8rem; transform: translateY(-50%); padding: 0 9px; }
.plot .point.before { transform: translate(-100%, -50%); }
.plot .point.over { transform: translate(-50%, -50%); }
.spot { stroke: var(--accent); stroke-width: 10; }
.spot.other { stroke: var(--muted); stroke-opacity: 0.55; stroke-width: 8; }
.front { stroke: var(--accent); stroke-width: 1.5; stroke-dasharray: 5 4; stroke-opacity: 0.7; }

.rows { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: 7px 12px; font-size: 0.85rem; }
.rows { align-items: center; margin: 0; }
.rows div { display: contents; }
.rows dt { overflow-wrap: anywhere; }
.rows span { position: relative; display: block; height: 16px; }
.rows i { position: absolute; inset: 0 auto 0 0; min-width: 2px; border-radius: 3px; background: var(--accent); }
.rows u { position: absolute; inset: -4px auto; width: 0; border-left: 2px dashed var(--ink); }
.rows dd { margin: 0; text-align: right; white-space: nowrap; }
.rows + .axis { margin-top: 12px; }
.flat figcaption { flex: none; }

.cmc { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 1fr); gap: 16px; }
.cameras { overflow-x: auto; }
.cameras table { border-collapse: collapse; font-size: 0.95rem; }
.cameras td, .cameras th { padding: 0.3rem 0.8rem; text-align: right; font-variant-numeric: tabular-nums; }
.cmc table { border-collapse: collapse; width: 100%; height: 100%; font-size: 0.95rem; }
.cmc .card { padding: 18px 22px; }
.cmc th { text-align: left; font-weight: 400; color: var(--muted); padding: 7px 0; }
.cmc td { text-align: right; font-weight: 600; }
.cmc tr + tr > * { border-top: 1px solid var(--line); }

.group { margin: 28px 0 10px; }
.group small { font-weight: 400; color: var(--muted); font-size: 0.85rem; margin-left: 6px; }
.query { display: grid; grid-template-columns: 196px minmax(0, 1fr); gap: 24px; padding: 18px 22px; }
.query + .query { margin-top: 10px; }
.asked { display: flex; gap: 14px; }
.asked .frame { flex: 0 0 64px; border-color: var(--muted); }
.asked dl { margin: 0; font-size: 0.82rem; line-height: 1.25; }
.asked dt { color: var(--muted); }
.asked dd { margin: 0 0 8px; font-weight: 600; overflow-wrap: anywhere; }
.found { list-style: none; margin: 0; padding: 0; display: grid; gap: 10px 8px; }
.found { grid-template-columns: repeat(10, minmax(0, 1fr)); }
.found li { display: flex; flex-direction: column; align-items: center; min-width: 0; }
.frame {
  display: block; box-sizing: content-box; width: calc(100% - 6px); max-width: 64px; aspect-ratio: 1 / 2;
  border: 3px solid var(--own, var(--line));
  border-radius: 5px; overflow: hidden; background: var(--box); align-self: flex-start;
}
.found .frame { align-self: center; }
.frame img { display: block; width: 100%; height: 100%; object-fit: contain; }
.missing { display: flex; width: 100%; height: 100%; align-items: center; justify-content: center; }
.missing { text-align: center; font-size: 0.7rem; line-height: 1.2; color: var(--muted); }
.right { --own: var(--right); } .wrong { --own: var(--wrong); }
.found p { font-size: 0.78rem; line-height: 1.3; margin-top: 5px; text-align: center; white-space: nowrap; }
.found p b { color: var(--own); }
.found p span { display: block; color: var(--muted); }

details { padding: 0; }
summary { cursor: pointer; padding: 14px 22px; font-weight: 600; font-size: 0.95rem; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 10px; }
pre { margin: 0; padding: 16px 22px; border-top: 1px solid var(--line); overflow-x: auto; }
pre { font: 0.82rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }

@media (max-width: 900px) {
  .charts.three { grid-template-columns: minmax(0, 1fr); }
  .query { grid-template-columns: minmax(0, 1fr); gap: 14px; }
}
@media (max-width: 680px) {
  main { padding: 24px 14px 48px; }
  h1 { font-size: 1.4rem; margin-bottom: 16px; }
  h2 { margin-top: 36px; }
  .headline, .charts, .cmc { grid-template-columns: minmax(0, 1fr); }
  .numbers, .measured { padding: 20px 18px; }
  .numbers .large dd { font-size: 2.5rem; }
  .measured { border-left: 0; border-top: 1px solid var(--line); }
  .facts { padding: 18px; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px 16px; }
  .chart, .query, .cmc .card { padding: 16px 14px 12px; }
  .plot { height: 180px; }
  .plot.points { height: 260px; }
  .found { grid-template-columns: repeat(5, minmax(0, 1fr)); }
}
@media print {
  .query, .chart { break-inside: avoid; }
}
"""
