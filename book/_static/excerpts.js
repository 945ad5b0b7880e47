// What a result of the search quotes is from the text of the page, not from its buttons and lists.
Search.htmlToText = ((text) => (page, anchor) => {
  const article = new DOMParser().parseFromString(page, "text/html").querySelector("article");
  return text(article ? `<div role="main">${article.outerHTML}</div>` : page, anchor);
})(Search.htmlToText);
