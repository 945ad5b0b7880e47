// What scrolls sideways inside the page (code, tables, wide formulas) can be reached and scrolled with
// the keyboard: it takes the focus while it is wider than its column, and only then.
document.addEventListener("DOMContentLoaded", () => {
  const watched = ".bd-article :is(pre, table, div.formula, span.wide, .text_html, .pst-scrollable-table-container)";
  const look = (box) => {
    const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible";
    if (scrolls) box.tabIndex = 0;
    else if (box.tabIndex === 0) box.removeAttribute("tabindex");
  };
  const observer = new ResizeObserver((entries) => entries.forEach((entry) => look(entry.target)));
  for (const box of document.querySelectorAll(watched)) observer.observe(box);
});
