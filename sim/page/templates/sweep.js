// A click on a column's name sorts its table by that column; a second one turns the order round.
function compare(a, b) {
  const [one, other] = [Number(a), Number(b)];
  return Number.isNaN(one) || Number.isNaN(other) ? a.localeCompare(b) : one - other;
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0], by = (row) => row.cells[column].dataset.by;
    const rows = [...body.rows].sort((a, b) => compare(by(a), by(b)) * (down ? -1 : 1));
    body.append(...rows);
  }));
}
