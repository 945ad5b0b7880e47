// Search leads to sections: Pagefind's index of the text. No module is loaded from a folder, and none by an
// old browser: there the theme's own search stays, quoting the text of a page and not its buttons.
Search.htmlToText = ((text) => (page, anchor) => {
  const article = new DOMParser().parseFromString(page, "text/html").querySelector("article");
  return text(article ? `<div role="main">${article.outerHTML}</div>` : page, anchor);
})(Search.htmlToText);

Search.performSearch = ((plain) => async (query) => {
  if (!location.protocol.startsWith("http")) return plain(query);
  let found;
  try {
    const { search } = await import(new URL("pagefind/pagefind.js", document.baseURI));
    found = await search(query);
    found = await Promise.all(found.results.slice(0, 12).map((each) => each.data()));
  } catch {
    return plain(query);
  }
  const make = (tag, parent, text = "") => {
    const element = parent.appendChild(document.createElement(tag));
    element.textContent = text;
    return element;
  };
  const out = document.getElementById("search-results");
  out.replaceChildren();
  make("h2", out, "Search results");
  const said = make("p", out, `${found.length || "No"} page${found.length === 1 ? "" : "s"} found for “${query}”.`);
  said.setAttribute("role", "status");
  const list = make("ul", out);
  list.className = "search";
  for (const page of found) {
    const item = make("li", list);
    make("a", item, page.meta.title).href = page.url;
    const sections = page.sub_results.filter((part) => part.url !== page.url).slice(0, 3);
    const quoted = (part, parent) => {
      const words = make("p", parent);
      words.className = "context";
      words.innerHTML = part.excerpt;  // escaped by Pagefind, but for its marks
    };
    if (!sections.length) quoted(page, item);
    const inner = sections.length ? make("ul", item) : null;
    for (const part of sections) {
      const entry = make("li", inner);
      make("a", entry, part.title).href = part.url.replace("#h-", "#");
      quoted(part, entry);
    }
  }
})(Search.performSearch.bind(Search));
