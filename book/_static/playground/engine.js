/** The page's end of a worker: messages out, reports in, and a halt while nobody looks. */

export class Engine {
  /**
   * @param {(report: object) => void} hear gets every snapshot and tally
   * @param {(message: string) => void} fail gets what went wrong
   */
  constructor(hear, fail) {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => hear(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      fail(event.message || "the worker could not be started");
    };
    /** What goes on when the page is seen again: a message, or null. */
    this.busy = null;
    document.addEventListener("visibilitychange", () => {
      if (this.busy === null) return;
      this.worker.postMessage(document.hidden ? { type: "pause" } : this.busy);
    });
  }

  send(message) {
    if (message.type === "run" || message.type === "resume") this.busy = message;
    else if (message.type === "tally") this.busy = { type: "resume" };
    else this.busy = null;
    const later = document.hidden && this.busy === message;
    if (!later) this.worker.postMessage(message);
    if (!later && document.hidden && this.busy) this.worker.postMessage({ type: "pause" });
  }

  /** To be called when a tally is done: nothing is left to resume. */
  rest() {
    this.busy = null;
  }
}
