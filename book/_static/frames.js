// The frames of a figure are fetched when a reader comes near, by a script element: that works from a
// folder, too. The file brings the frames, and then sets up the figures that have theirs.
window.lessonsFrames = (name, data) => {
  for (const figure of document.querySelectorAll(`figure[data-frames="${name}"]`)) {
    const store = figure.appendChild(document.createElement("script"));
    store.type = "application/json";
    store.className = "lessons-explore-data";
    store.textContent = data;
  }
};
document.addEventListener("DOMContentLoaded", () => {
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      const script = document.createElement("script");
      script.src = `${document.documentElement.dataset.content_root}_static/${target.dataset.frames}.js`;
      document.head.append(script);
    }
  }, { rootMargin: "100% 0px" });
  for (const figure of document.querySelectorAll("figure[data-frames]")) near.observe(figure);
});
