"""What the pages about networks add to the style sheet."""

CSS = """
:root {
  --k-standard: #22579e; --k-1x1: #c25e08; --k-depthwise: #14796a; --k-grouped: #8248b8; --k-asymmetric: #b23a62;
  --k-dilated: #0b7d9e; --k-transposed: #80651a; --k-linear: #5563cf; --k-attention: #43752a; --k-other: #737b85;
  --bad: #fbe3df;
}
@media (prefers-color-scheme: dark) {
  :root {
    --k-standard: #74a9f7; --k-1x1: #f0a050; --k-depthwise: #4fc4a4; --k-grouped: #bd95ee; --k-asymmetric: #ef85a8;
    --k-dilated: #56c7e6; --k-transposed: #d0b256; --k-linear: #a3aff5; --k-attention: #93cc70; --k-other: #8b949e;
    --bad: #4a2526;
  }
}
.numbers small { display: block; color: var(--muted); font-size: 0.8rem; font-weight: 400; letter-spacing: 0; }
.numbers .large small { font-size: 0.85rem; }
.body { padding: 20px 24px; }
.body + .body { border-top: 1px solid var(--line); }
.wide { overflow-x: auto; }
.say { max-width: 75ch; margin-top: 12px; }

.bars { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 10px 16px; align-items: center; margin: 0; }
.bars dt { color: var(--muted); font-size: 0.9rem; }
.bars dd { margin: 0; display: flex; gap: 2px; height: 30px; border-radius: 6px; overflow: hidden; }
.bars i {
  background: var(--own); color: var(--card); font: 600 0.78rem/30px system-ui, sans-serif; text-align: center;
  overflow: hidden; white-space: nowrap; min-width: 1px; print-color-adjust: exact; -webkit-print-color-adjust: exact;
}
.kinds { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 0.9rem; }
.kinds th, .kinds td { padding: 7px 10px; text-align: right; white-space: nowrap; font-weight: 400; }
.kinds th:first-child { text-align: left; padding-left: 0; }
.kinds td:last-child, .kinds th:last-child { padding-right: 0; }
.kinds thead th { color: var(--muted); font-size: 0.82rem; vertical-align: bottom; white-space: normal; }
.kinds tr > :first-child { position: sticky; left: 0; background: var(--card); }
.compared { font-size: 0.85rem; }
.compared th, .compared td { padding: 7px 6px; }
.kinds tbody tr > * { border-top: 1px solid var(--line); }
.kinds tfoot tr > * { border-top: 1px solid var(--muted); font-weight: 600; }
.kinds small { color: var(--muted); font-size: 0.82rem; margin-left: 6px; }
.kinds .best { font-weight: 700; color: var(--right); }
.kinds .text { text-align: left; white-space: normal; min-width: 9rem; }
.kind::before {
  content: ""; display: inline-block; width: 11px; height: 11px; border-radius: 3px; background: var(--own);
  margin-right: 8px;
}
.k-standard { --own: var(--k-standard); } .k-1x1 { --own: var(--k-1x1); } .k-depthwise { --own: var(--k-depthwise); }
.k-grouped { --own: var(--k-grouped); } .k-asymmetric { --own: var(--k-asymmetric); }
.k-dilated { --own: var(--k-dilated); } .k-transposed { --own: var(--k-transposed); }
.k-linear { --own: var(--k-linear); } .k-attention { --own: var(--k-attention); } .k-other { --own: var(--k-other); }

.sight { flex-direction: row; gap: 32px; padding: 24px; align-items: flex-start; }
.map { position: relative; flex: none; width: min(100%, 420px, calc(500px * var(--wide) / var(--high))); }
.map img { display: block; width: 100%; height: 100%; border-radius: 4px; }
.map.small img { image-rendering: pixelated; }
.map svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.sight rect { fill: none; vector-effect: non-scaling-stroke; stroke-width: 2; }
.map .theory { stroke: #ffffff; stroke-dasharray: 7 5; }
.map .effect { stroke: #5fe3ff; }
.sketch .theory { stroke: var(--muted); stroke-dasharray: 7 5; }
.sketch .effect { stroke: var(--effect); fill: var(--effect); fill-opacity: 0.25; }
.sketch .input { fill: var(--box); }
.sight { --effect: #0b93b8; }
@media (prefers-color-scheme: dark) { .sight { --effect: #5fe3ff; } }
.key { flex: 1; min-width: 0; display: flex; flex-direction: column; gap: 18px; }
.key small { color: var(--muted); font-size: 0.82rem; }
.scale { max-width: 420px; }
.scale i { display: block; height: 14px; border-radius: 4px; print-color-adjust: exact; }
.scale p { display: flex; justify-content: space-between; font-size: 0.78rem; color: var(--muted); padding-top: 3px; }
.boxes { list-style: none; margin: 0; padding: 0; font-size: 0.9rem; }
.boxes li { padding-left: 34px; position: relative; }
.boxes li::before { content: ""; position: absolute; left: 0; top: 0.72em; width: 24px; border-top: 2px solid; }
.boxes .theory::before { border-top-style: dashed; border-color: var(--muted); }
.boxes .effect::before { border-color: var(--effect); }
.sketch svg { display: block; width: 100%; max-width: 420px; height: 230px; margin-bottom: 6px; }

.layers { border-collapse: separate; border-spacing: 0; font-size: 0.82rem; width: 100%; }
.layers th, .layers td { padding: 4px 10px; text-align: right; white-space: nowrap; font-weight: 400; }
.layers thead th { color: var(--muted); border-bottom: 1px solid var(--line); padding: 10px; }
.layers .text { text-align: left; }
.layers tbody tr { background: var(--card); }
.layers tbody tr:nth-child(even) { background: color-mix(in srgb, var(--line) 30%, var(--card)); }
.layers td:nth-child(2) { position: sticky; left: 0; background: inherit; }
.layers tbody .differs { background: var(--bad); }
.differs b { color: var(--wrong); }
.notes { margin: 0; padding-left: 1.2em; }


@media (max-width: 680px) {
  .body { padding: 16px 14px; }
  .sight { flex-direction: column; padding: 16px 14px; gap: 20px; }
  .map { width: min(100%, calc(420px * var(--wide) / var(--high))); align-self: center; }
  .key { width: 100%; }
  .sketch svg { height: 180px; }
  .bars { grid-template-columns: minmax(0, 1fr); gap: 3px; }
  .bars dd + dt { margin-top: 8px; }
  .numbers div, .numbers .large { grid-column: span 3; }
  .numbers dd { font-size: 1.35rem; }
  .numbers .large dd { font-size: 2.1rem; }
}
"""
