(function () {
  "use strict";
  var selector = "figure.lessons-explore:not([data-ready])";
  Array.prototype.forEach.call(document.querySelectorAll(selector), function (root) {
    function part(name) { return root.querySelector(".lessons-explore-" + name); }
    function make(tag, parent, name) {
      var element = document.createElement(tag);
      if (name) { element.className = "lessons-explore-" + name; }
      return parent.appendChild(element);
    }
    function freeId() {
      var number = 1;
      while (document.getElementById("lessons-explore-" + number)) { number += 1; }
      return "lessons-explore-" + number;
    }
    var data = part("data"), image = root.querySelector("img");
    var text = part("text"), state = part("state");
    if (!data || !image || !text) { return; }
    data = JSON.parse(data.textContent);
    root.setAttribute("data-ready", "");
    var startSource = image.src, controls = document.createElement("div"), timer = null;
    controls.className = "lessons-explore-controls";
    image.insertAdjacentElement("afterend", controls);

    var sliders = data.parameters.map(function (parameter, number) {
      var group = make("div", controls), head = make("div", group, "head");
      var row = make("div", group, "row");
      var label = make("label", head), output = make("output", head), input = make("input", row);
      input.type = "range";
      input.min = 0;
      input.max = parameter.texts.length - 1;
      input.step = 1;
      input.value = parameter.start;
      input.autocomplete = "off";
      input.id = freeId();
      label.htmlFor = input.id;
      label.textContent = parameter.label;
      output.htmlFor = input.id;
      output.setAttribute("aria-live", "off");  // the slider speaks its value itself
      input.addEventListener("input", function () { pause(); show(); });
      return { input: input, output: output, row: row, parameter: parameter };
    });

    function show() {
      var index = 0, words = [];
      sliders.forEach(function (slider) {
        var value = slider.parameter.texts[Number(slider.input.value)];
        index = index * slider.parameter.texts.length + Number(slider.input.value);
        slider.output.textContent = value;
        slider.input.setAttribute("aria-valuetext", value);
        words.push(slider.parameter.label + " " + value);
      });
      var frame = data.frames[index];
      // The first image is in the page already and is not stored a second time.
      image.src = frame[0] === null ? startSource : data.prefix + frame[0];
      image.alt = data.alt + " (" + words.join(", ") + ")";
      state.textContent = words.join(", ");
      if (text.textContent !== frame[1]) { text.textContent = frame[1]; }
    }

    var played = sliders[data.play].input, last = Number(played.max);
    var button = make("button", sliders[data.play].row);
    var still = window.matchMedia && window.matchMedia("(prefers-reduced-motion: reduce)");
    button.type = "button";
    function name(word) {
      button.textContent = word;
      button.setAttribute("aria-label", word + " " + data.parameters[data.play].label);
    }
    function rest() { name(still && still.matches ? "Next" : "Play"); }
    function pause() {
      if (timer === null) { return; }
      window.clearInterval(timer);
      timer = null;
      button.removeAttribute("data-playing");
      text.setAttribute("aria-live", "polite");
      rest();
    }
    function advance() {
      if (!root.isConnected) { pause(); return; }
      var next = Number(played.value) + 1;
      played.value = next > last ? 0 : next;
      if (Number(played.value) === last) { pause(); }  // before the text, so that it is spoken
      show();
    }
    button.addEventListener("click", function () {
      if (timer !== null) { pause(); return; }
      if (still && still.matches) { advance(); return; }  // nothing moves by itself
      timer = window.setInterval(advance, data.pace);
      button.setAttribute("data-playing", "");
      text.setAttribute("aria-live", "off");  // a reader is not to be talked over while it plays
      name("Pause");
      if (Number(played.value) === last) { advance(); }  // at the end: from the start again
    });
    rest();
    show();
  });
})();
