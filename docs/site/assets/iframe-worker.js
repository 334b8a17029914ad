// Browsers start no worker on pages that are opened from disk: there a hidden frame stands in for the search's.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.onload = () => this.start(String(new URL(url, document.baseURI)));
      document.documentElement.append(this.frame);
    }

    start(url) {
      const scope = this.frame.contentWindow;
      scope.postMessage = (data) => setTimeout(() => this.receive(data));
      const script = scope.document.createElement("script");
      script.src = url;
      script.onload = () => {
        const waiting = this.waiting;
        this.waiting = null;
        waiting.forEach((data) => this.postMessage(data));
      };
      scope.document.head.append(script);
    }

    receive(data) {
      const event = new MessageEvent("message", { data });
      this.onmessage?.(event);
      this.dispatchEvent(event);
    }

    postMessage(data) {
      if (this.waiting) {
        this.waiting.push(data);
      } else {
        setTimeout(() => this.frame.contentWindow.onmessage?.({ data }));
      }
    }

    terminate() {
      this.frame.remove();
    }
  };
}
