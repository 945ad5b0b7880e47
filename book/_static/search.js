// Search leads to sections: Pagefind's index of the text. No module is loaded from a folder, and none by an
// old browser: there the theme's own search stays, quoting the text of a page and not its buttons.
Search.htmlToText = ((text) => (page, anchor) => {
  const article = new DOMParser().parseFromString(page, "text/html").querySelector("article");
  return text(article ? `<div role="main">${article.outerHTML}</div>` : page, anchor);
})(Search.htmlToText);

const stem = (word) => new Stemmer().stemWord(word.toLowerCase());

// How many letters of two words are missing, too many, wrong, or swapped.
function distance(one, other) {
  const rows = [];
  for (let i = 0; i <= one.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= other.length; j++) {
      if (!i) { rows[0].push(j); continue; }
      const same = one[i - 1] === other[j - 1];
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      rows[i].push(Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + !same,
        swapped ? rows[i - 2][j - 2] + 1 : Infinity));
    }
  }
  return rows.at(-1).at(-1);
}

const most = (word) => word.length > 4 ? 2 : 1;

// The stems nearest to a word, those on most pages first: of the theme's index, which has only stems.
function nearest(word) {
  const near = [];
  for (const [other, pages] of Object.entries(Search._index.terms)) {
    if (!/^[a-z]{3,}$/.test(other) || Math.abs(other.length - word.length) > 2) continue;
    const far = distance(word, other);
    if (far <= most(word)) near.push([far - Math.min([pages].flat().length, 99) / 100, other]);
  }
  return near.sort(([one], [other]) => one - other).slice(0, 5).map(([, other]) => other);
}

Search.performSearch = ((plain) => async (query) => {
  if (!location.protocol.startsWith("http")) return plain(query);
  const words = query.split(/[\s"]+/).filter((word) => word), asked = words.join(" ");
  let found;
  try {
    const { search } = await import(new URL("pagefind/pagefind.js", document.baseURI));
    const shown = async (word, close) => {
      const [first] = (await search(word)).results;
      const marks = first ? (await first.data()).excerpt.matchAll(/<mark>(.*?)<\/mark>/g) : [];
      return [...marks].map(([, mark]) => mark.replace(/^\W+|(’s)?\W*$/g, "").toLowerCase()).find(close(word));
    };
    const begins = (word) => (mark) => stem(mark).startsWith(stem(word));
    const resembles = (word) => (mark) => distance(word, mark) <= most(word);
    for (const [place, typed] of words.entries()) {
      const word = typed.toLowerCase();
      // Pagefind cuts a word that it does not know until something begins so: perhaps with another word.
      if (stopwords.includes(word) || await shown(word, begins)) continue;
      const better = [shown(word, resembles), ...nearest(stem(word)).map((each) => shown(each, begins))];
      const likely = (await Promise.all(better)).filter((each) => each);
      if (!likely.length) return plain(query);  // a name in code, perhaps
      [words[place]] = likely.sort((one, other) => distance(word, one) - distance(word, other));
    }
    found = await search(words.join(" "));
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
  const answered = words.join(" "), other = asked === answered ? "" : `“${asked}” is nowhere. `;
  const count = `${found.length || "No"} page${found.length === 1 ? "" : "s"} found for “${answered}”.`;
  make("p", out, other + count).setAttribute("role", "status");
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
