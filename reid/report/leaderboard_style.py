"""What the leaderboard's page adds to the style sheet, and the script that sorts its tables."""

CSS = """
main { max-width: 1400px; }
h1 { margin-bottom: 8px; }
h2 { display: flex; align-items: baseline; gap: 12px; flex-wrap: wrap; }
h2 small { font-weight: 400; font-size: 0.85rem; color: var(--muted); letter-spacing: 0; }
.apart { border-left: 3px solid var(--accent); padding: 2px 0 2px 14px; margin: 12px 0 0; max-width: 90ch; }
.ground { margin: 0 0 16px; font-size: 0.85rem; grid-template-columns: auto minmax(0, 1fr); }
.board { overflow-x: auto; padding: 4px 0; }
.board table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 0.9rem; }
.board th, .board td { padding: 8px 12px; text-align: right; white-space: nowrap; font-weight: 400; }
.board .text { text-align: left; }
.board thead th { color: var(--muted); font-size: 0.82rem; vertical-align: bottom; }
.board button { all: unset; cursor: pointer; border-radius: 4px; }
.board button:hover { color: var(--ink); }
.board button:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }
.board [aria-sort] button { color: var(--ink); font-weight: 600; }
.board [aria-sort] button::after { content: " ↓"; }
.board [aria-sort="ascending"] button::after { content: " ↑"; }
.board tbody tr > * { border-top: 1px solid var(--line); }
.board tbody tr:hover > * { background: color-mix(in srgb, var(--accent) 8%, var(--card)); }
.board tr > :first-child { position: sticky; left: 0; background: var(--card); color: var(--muted); z-index: 1; }
.board .metric { font-weight: 600; }
.board .metric small, .board td small { color: var(--muted); font-weight: 400; font-size: 0.82rem; }
.board .first .metric { color: var(--accent); }
.range { display: inline-block; position: relative; width: 90px; height: 10px; margin-left: 10px; }
.range::before { content: ""; position: absolute; inset: 4.5px 0; border-radius: 1px; background: var(--line); }
.range i { position: absolute; top: 3px; height: 4px; border-radius: 2px; background: var(--accent); opacity: 0.45; }
.range b { position: absolute; top: 0; width: 4px; height: 10px; margin-left: -2px; border-radius: 2px; }
.range b { background: var(--accent); }
.board .alike { color: var(--muted); }
.charts + .charts, .card + .charts, .note + .charts { margin-top: 16px; }
.board + .note { margin: 12px 0 0; }
.charts .plot { height: 280px; }
.charts > :last-child:nth-child(odd) { grid-column: 1 / -1; }
.note.below { margin: 16px 0 0; max-width: 110ch; }
.rows dt small { color: var(--muted); }
.lit, .lit .line { stroke: var(--ink) !important; stroke-width: 3.5 !important; stroke-opacity: 1 !important; }
.spot.lit { stroke-width: 14 !important; }
.list { margin: 0; padding: 16px 24px; list-style: none; font-size: 0.9rem; }
.list li { overflow-wrap: anywhere; padding: 3px 0; }
.list li b { font-weight: 600; margin-right: 8px; }
.list li span { color: var(--muted); }
.list .bad span { color: var(--wrong); }
.meaning { font-size: 0.9rem; color: var(--muted); padding: 18px 24px; max-width: none; }
.meaning p { max-width: 100ch; }
.meaning p + p { margin-top: 6px; }

@media (max-width: 680px) {
  .board th, .board td { padding: 7px 8px; }
  .charts .plot { height: 240px; }
  .list, .meaning { padding: 14px; }
  .ground { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .ground dd { margin-bottom: 6px; }
}
"""

# Sorts a table by a column whose heading is pressed, what is not known last; and marks a row's curves and points.
SCRIPT = """
for (const table of document.querySelectorAll(".board table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
    const now = head.getAttribute("aria-sort"), first = head.dataset.first;
    const order = now ? (now === "ascending" ? "descending" : "ascending") : first;
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const known = row => row.cells[i].dataset.v !== undefined;
    const compare = (a, b) => known(a) && known(b) ? sign * (a.cells[i].dataset.v - b.cells[i].dataset.v)
      : known(a) || known(b) ? known(b) - known(a)
      : sign * a.cells[i].textContent.localeCompare(b.cells[i].textContent, undefined, {numeric: true});
    body.append(...[...body.rows].sort(compare));
  }));
  const marks = [...table.closest("section").querySelectorAll("[data-name]:not(tr)")];
  for (const row of body.rows) for (const on of [true, false])
    row.addEventListener(on ? "mouseenter" : "mouseleave", () => marks.forEach(mark =>
      mark.classList.toggle("lit", on && mark.dataset.name === row.dataset.name)));
}
"""
