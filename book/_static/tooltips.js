// Escape closes the meaning of a term that is shown, until pointer and focus have left the term.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const term of document.querySelectorAll(".term:hover, .term:focus-within")) {
    term.classList.add("closed");
    const reopen = () => term.classList.remove("closed");
    term.addEventListener("mouseleave", reopen, { once: true });
    term.addEventListener("focusout", reopen, { once: true });
  }
});
