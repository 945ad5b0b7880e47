/* Starts the playground where it can run, and leaves the still picture where it cannot. No module,
   because a page that was opened as a file may not load modules, and would report an error. */
(function () {
  "use strict";
  var here = document.currentScript.src;
  var page = document.documentElement;
  if (!/^https?:$/.test(window.location.protocol) || !window.Worker) return;
  page.classList.add("playground-runs");
  var script = document.createElement("script");
  script.type = "module";
  script.src = new URL("main.js", here).href;
  script.onerror = function () {
    page.classList.remove("playground-runs");
  };
  document.currentScript.after(script);
})();
